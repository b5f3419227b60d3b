from pathlib import Path

import pytest

from fog_node.infrastructure.birth import FILE, next_birth


def test_a_life_is_numbered_by_the_time(tmp_path: Path) -> None:
    assert next_birth(tmp_path, 1_000) == 1_000
    assert next_birth(tmp_path, 2_000) == 2_000


def test_a_life_after_the_clock_was_set_back_comes_after_the_one_before(tmp_path: Path) -> None:
    first, second, third = (next_birth(tmp_path, now) for now in (5_000, 10, 10))
    assert 5_000 == first < second < third


def test_copies_of_a_folder_without_a_clock_are_different_lives(tmp_path: Path) -> None:
    births = set()
    for number in range(5):
        copy = tmp_path / str(number)
        copy.mkdir()
        (copy / FILE).write_text("5000", "utf-8")
        births.add(next_birth(copy, 10))
    assert len(births) > 1


@pytest.mark.parametrize("written", [b"", b"soon", b"-7", b"\xff" * 100, b"-"])
def test_a_damaged_note_is_the_same_as_none(written: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(written)
    assert next_birth(tmp_path, 3) == 3


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    assert next_birth(tmp_path / "missing", 3) == 3
