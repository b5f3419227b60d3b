"""Log lines that cannot be written."""

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
