import subprocess
import sys

PROGRAM = """
from device_sim.client.log import log

log.info("node_lost", device="me")
log.warning("message_unreadable", device="me", reason="no JSON")
"""


def test_a_program_that_sets_up_no_logs_gets_warnings_and_keeps_its_output_to_itself() -> None:
    command = (sys.executable, "-c", PROGRAM)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == ""
    assert done.stderr == "event='message_unreadable' device='me' reason='no JSON'\n"
