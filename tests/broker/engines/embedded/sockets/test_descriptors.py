"""A process that may open few files keeps some for others than one host's connections."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("soft", "hard", "room"), [(256, 700, 500), (256, 6000, 5000), (100, 100, 1)])
def test_the_limit_is_raised_as_far_as_it_goes(soft: int, hard: int, room: int) -> None:
    code = (
        "import resource; from broker.engines.embedded.sockets.descriptors import room_for;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); print(room_for(5000))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) == room
