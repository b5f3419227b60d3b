"""Ends programs together with all that they have started."""

import contextlib
import os
import signal

import psutil


def kill_family(process: psutil.Process) -> None:
    """Kill a program that lives, its descendants, and what is left of its group."""
    family = [process]
    with contextlib.suppress(psutil.Error):
        family += process.children(recursive=True)
    kill_group(process.pid)
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()


def kill_group(leader: int) -> None:
    """Kill the group that a program leads or has led.

    Of one that has ended this is all that can be told from strangers, who may have its number by now.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
