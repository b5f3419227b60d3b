"""The name of a node that was given none."""

from pathlib import Path

import pytest
import structlog

from broker.programs import machine
from fog_node.commands.node_choice import NodeChoice
from fog_node.names import FILE, keep_name
from fog_node.settings import FogSettings


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host called `pi` with a serial number, as a Raspberry Pi has one; returns where data goes."""
    monkeypatch.setattr("socket.gethostname", lambda: "pi.local")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    is_machine(monkeypatch, tmp_path, "10000000aaaa")
    return tmp_path / "weighbridge"


def is_machine(monkeypatch: pytest.MonkeyPatch, folder: Path, serial: str) -> None:
    (folder / "serial").write_text(f"{serial}\0", "utf-8")
    monkeypatch.setattr(machine, "SERIAL", folder / "serial")


def started(data: Path | None = None, name: str = "") -> str:
    """The name of a node that has run once."""
    settings = FogSettings(data=data, name=name)
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / "journal.db").touch()
    keep_name(settings.folder, settings.name)
    return settings.name


def test_machines_of_one_host_name_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = started()
    assert first.startswith("pi-")
    assert started() == first
    is_machine(monkeypatch, tmp_path, "10000000bbbb")
    assert started().startswith("pi-")
    assert started() != first


def test_commands_find_the_node_that_was_given_no_name(tmp_path: Path) -> None:
    started()
    started(tmp_path / "elsewhere", name="kitchen")
    assert NodeChoice().folder == FogSettings().folder
    assert NodeChoice(data=tmp_path / "elsewhere").name == "kitchen"


def test_a_name_once_used_stays_with_the_folder(tmp_path: Path) -> None:
    assert started(tmp_path / "d", name="kitchen") == "kitchen"
    assert started(tmp_path / "d") == "kitchen"


def test_a_folder_copied_to_another_machine_is_another_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = started(tmp_path / "d")
    is_machine(monkeypatch, tmp_path, "10000000bbbb")
    copy = started(tmp_path / "d")
    assert copy != original
    assert started(tmp_path / "d") == copy


@pytest.mark.parametrize("given", [True, False])
def test_a_node_that_was_called_after_its_host_alone_stays_so(host: Path, *, given: bool) -> None:
    """As in the folders that earlier versions made."""
    folder = host / "pi"
    folder.mkdir(parents=True)
    (folder / "journal.db").touch()
    data = folder if given else None
    assert started(data) == "pi"
    assert started(data) == "pi"
    assert (folder / FILE).exists()


def test_where_nothing_tells_the_machine_apart_the_hosts_name_is_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "SERIAL", tmp_path / "none")
    monkeypatch.setattr(machine, "MACHINE_ID", tmp_path / "none")
    # A network address that a container was given may be another one tomorrow.
    monkeypatch.setattr("uuid.getnode", lambda: 0x0242AC110002)
    assert started() == "pi"
    assert started(tmp_path / "d", name="kitchen") == started(tmp_path / "d") == "kitchen"


def test_a_name_that_another_machine_explains_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new card, or a copied disk: only the user knows which."""
    first = started()
    is_machine(monkeypatch, tmp_path, "10000000bbbb")
    with structlog.testing.capture_logs() as logs:
        second = started()
        started()
    (line,) = [one for one in logs if one["event"] == "node_has_a_new_name"]
    assert (line["name"], first in line["others"][0]) == (second, True)
