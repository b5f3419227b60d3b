"""What tells a machine, and a data folder on it, from copies."""

from pathlib import Path

import pytest

from broker.programs import machine
from broker.programs.machine import folder_mark, machine_identity


def is_machine(monkeypatch: pytest.MonkeyPatch, folder: Path, serial: str) -> None:
    (folder / "serial").write_text(f"{serial}\0", "utf-8")
    monkeypatch.setattr(machine, "SERIAL", folder / "serial")


def test_a_serial_number_is_the_machines_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_machine(monkeypatch, tmp_path, "10000000aaaa")
    assert machine_identity() == "10000000aaaa"


def test_a_folder_keeps_its_mark_and_a_copy_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one of them has handed over must not be answered to the other."""
    is_machine(monkeypatch, tmp_path, "10000000aaaa")
    mark = folder_mark(tmp_path / "data", "life")
    assert mark == folder_mark(tmp_path / "data", "life")
    assert mark != folder_mark(tmp_path / "copy", "life")
    assert mark != folder_mark(tmp_path / "data", "another life")
    is_machine(monkeypatch, tmp_path, "10000000bbbb")
    assert mark != folder_mark(tmp_path / "data", "life")
