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
    assert (done.stdout, done.returncode) == (b"goes on\n", 0)


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


LIBRARY = """
import logging
from broker.programs.logs import LogFormat, LogLevel, set_up_logs

set_up_logs(level=LogLevel.INFO, format=LogFormat.JSON, program="test", about=lambda: {"task": "sum"})
logging.getLogger("somebody.s").info("number %s", 1)
logging.debug("not at this level")
logging.getLogger("redis.client").info("a library's own story")
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("oh")
"""


def test_what_others_log_is_written_by_the_level_and_as_json_and_says_what_it_is_about() -> None:
    done = subprocess.run([sys.executable, "-c", LIBRARY], capture_output=True, timeout=30, check=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["event"], first["level"], first["program"], first["task"]) == (
        *("number 1", "info", "test", "sum"),
    )
    assert second["exception"].endswith("ZeroDivisionError: division by zero")


FORKS = """
import os, threading, structlog
from broker.programs.logs import LogFormat, LogLevel, log_prints, set_up_logs

set_up_logs(level=LogLevel.INFO, format=LogFormat.AUTO, program="test")
log_prints()

def chatter():
    while True:
        print("all the time")

threading.Thread(target=chatter, daemon=True).start()
for _ in range(100):
    if (child := os.fork()) == 0:
        print("once")
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_a_forked_process_does_not_wait_for_a_thread_that_was_writing_a_line() -> None:
    subprocess.run([sys.executable, "-c", FORKS], stderr=subprocess.DEVNULL, timeout=60, check=True)
