"""Log lines that cannot be written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")

PROGRAM = """
import logging, structlog
from broker.programs.logs import LogFormat, LogLevel, set_up_logs

set_up_logs(level=LogLevel.INFO, format=LogFormat.AUTO, program="test")
structlog.get_logger().error("disk_full", reason="no space left")
logging.getLogger("library").warning("so it is")
print("goes on")
"""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_program_goes_on_where_its_log_cannot_be_written() -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=full, timeout=30, check=False
        )
    assert done.stdout == b"goes on\n"


CRASHES = """
import logging, threading, warnings
from broker.programs.logs import LogFormat, LogLevel, set_up_logs

class Stubborn:
    def __del__(self):
        raise ValueError("in its end")

set_up_logs(level=LogLevel.INFO, format=LogFormat.JSON, program="test")
alone = logging.getLogger("alone")
alone.propagate = False
alone.error("two\\nlines")
warnings.warn("old")
Stubborn()
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise KeyError("at last")
"""


def test_whatever_a_program_says_is_json() -> None:
    """Libraries that keep their lines to themselves, warnings, and what nobody has caught, in any thread."""
    done = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, timeout=30, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    said = [line["event"] for line in lines]
    assert [said[0], *said[2:]] == ["two lines", "uncaught", "uncaught", "uncaught"]
    assert "UserWarning: old" in said[1]
    assert [line["reason"] for line in lines[2:]] == [
        "ValueError('in its end')",
        "ZeroDivisionError('division by zero')",
        "KeyError('at last')",
    ]
    assert all("Traceback" in line["exception"] for line in lines[2:])
