"""Starts a program that ends when the process that started it ends, even by kill -9 (on Linux).

Run as a file, `python guard.py PARENT_PID SIGNALS PROGRAM ARGUMENT...`, so that it costs no imports: it asks
the kernel for the signal, blocks SIGNALS (numbers with commas between, or none) and becomes the program.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; elsewhere than on Linux, do nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before we asked.
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind; elsewhere than on Linux, do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    # Not ignored: what a program sets for a signal takes the place of that, and does nothing against a block.
    signal.pthread_sigmask(signal.SIG_BLOCK, [int(number) for number in sys.argv[2].split(",") if number])
    os.execvp(sys.argv[3], sys.argv[3:])
