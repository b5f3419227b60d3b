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


def card(folder: Path, name: str, address: str, device: str | None = None) -> None:
    """A network card as Linux shows it."""
    (folder / "net" / name).mkdir(parents=True)
    (folder / "net" / name / "address").write_text(f"{address}\n", "utf-8")
    if device is not None:
        (folder / device).mkdir(parents=True)
        (folder / "net" / name / "device").symlink_to(folder / device)


def test_without_a_serial_number_it_is_the_card_that_is_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is connected or not, and whatever else comes and goes."""
    monkeypatch.setattr(machine, "SERIAL", tmp_path / "none")
    monkeypatch.setattr(machine, "NETWORK_CARDS", tmp_path / "net")
    card(tmp_path, "eth0", "b8:27:eb:00:00:02", "pci/1")
    assert machine_identity() == "b827eb000002"
    card(tmp_path, "usb0", "00:27:eb:00:00:01", "usb1/2")
    card(tmp_path, "docker0", "00:42:ac:11:00:01")
    card(tmp_path, "virtual", "52:54:00:00:00:01", "virtio/1")
    assert machine_identity() == "b827eb000002"
