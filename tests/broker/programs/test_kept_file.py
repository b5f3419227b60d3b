from pathlib import Path

import pytest

from broker.programs import kept_file
from broker.programs.kept_file import KeptFile


def read(path: Path, *, readable: bool = True) -> list[bytes]:
    found: list[bytes] = []

    def take(data: bytes) -> bool:
        found.append(data)
        return readable

    KeptFile(path, lost="learning anew").load(take)
    return found


def test_what_was_saved_last_is_there_in_the_next_life(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "known.json", lost="learning anew")
    file.save(b"one")
    file.save(b"two")
    assert read(tmp_path / "known.json") == [b"two"]
    assert [one.name for one in tmp_path.iterdir()] == ["known.json"]


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "known.json") == []


def test_a_damaged_file_is_told_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "known.json"
    path.write_bytes(b"{")
    read(path, readable=False)
    assert "file_unreadable" in capsys.readouterr().out
    KeptFile(path, lost="learning anew").save(b"{}")
    assert read(path) == [b"{}"]


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_file, "MAX_BYTES", 3)
    (tmp_path / "known.json").write_bytes(b"long")
    assert read(tmp_path / "known.json") == []


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    KeptFile(tmp_path / "no" / "such" / "known.json", lost="learning anew").save(b"{}")
