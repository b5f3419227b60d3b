"""The names of workers: each its own, and of which crew it is."""

import os
import secrets
import socket


def worker_name(weight: str, crew: str = "") -> str:
    """A name that no other worker has, on whatever machine.

    Machines that were set up from one image have one host name, and in containers one process number as well.
    """
    parts = (weight, str(os.getpid()), secrets.token_hex(4), crew)
    return f"{'-'.join(filter(None, parts))}@{socket.gethostname()}"


def crew_of(worker: str) -> str:
    """With which others a worker was started, by its name."""
    return worker.partition("@")[0].rpartition("-")[2]
