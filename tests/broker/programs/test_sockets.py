"""Where the sockets of a data folder are."""

import socket
from pathlib import Path

import pytest

from broker.errors import SettingsError
from broker.programs.sockets import LONGEST_PATH, prepare_folder, socket_path


def test_a_socket_is_inside_its_folder_as_long_as_the_system_takes_its_path(tmp_path: Path) -> None:
    """A folder of each length has one that can be listened on, and always the same."""
    places = set()
    for length in range(1, LONGEST_PATH, 7):
        path = socket_path(tmp_path / ("x" * length), "a.sock")
        prepare_folder(path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
        assert path == socket_path(tmp_path / ("x" * length), "a.sock")
        places.add(path.is_relative_to(tmp_path))
        path.unlink()
        path.parent.rmdir()
    assert places == {True, False}


def test_what_does_not_fit_into_a_file_is_elsewhere(tmp_path: Path) -> None:
    assert socket_path(Path("/our data"), "a.sock") == Path("/our data/a.sock")
    assert " " not in str(socket_path(Path("/our data"), "a.sock", unfit=" "))


def test_a_folder_for_which_there_is_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"longer than 100 bytes; set TMPDIR to a shorter path"):
        prepare_folder(tmp_path / ("x" * LONGEST_PATH) / "a.sock")
