"""Programs run by a user who is a number alone: no name, no home, no environment, as containers have them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, running

NUMBER = "12345"
# It may read everything, since the tests may be somewhere that only root may enter.
NOBODY = (
    *("setpriv", "--reuid", NUMBER, "--regid", NUMBER, "--clear-groups"),
    *(
        "--inh-caps",
        "+dac_read_search",
        "--ambient-caps",
        "+dac_read_search",
        "env",
        "-i",
        sys.executable,
        "-m",
    ),
)

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="only root may become another user"
)


@pytest.mark.parametrize(
    "command",
    [("fog_node",), ("cloud_node",), ("fog_node", "dead"), ("fog_node", "peers"), ("fog_node", "explain")],
)
def test_without_a_home_a_program_says_that_it_needs_a_folder(command: Sequence[str]) -> None:
    done = subprocess.run(
        [*NOBODY, *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"error: user {NUMBER} has no home directory")
    assert "--data DIR" in sentence


@pytest.mark.parametrize("engine", ["embedded", "mosquitto", "external", "amqtt"])
def test_with_a_folder_a_node_runs_on_every_engine(tmp_path: Path, mosquitto: Mosquitto, engine: str) -> None:
    given = mosquitto.url if engine == "external" else engine
    start = (*NOBODY, "fog_node")
    # Not in the folder of the test, which only its owner may enter.
    with tempfile.TemporaryDirectory() as data:
        shutil.chown(data, int(NUMBER))
        command = ("fog_node", "--data", data, "--listen", "127.0.0.1:0", "--engine", given, "--name", "n")
        with running(*command, "--workers", "light=1", folder=tmp_path, start=start) as node:
            assert value(request(node.port, f"fog/tasks/light/sum/me/{engine}", "[1,2]")) == 3
            assert "Traceback" not in node.stderr
