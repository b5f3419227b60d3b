"""The entry points of the programs, by which a user's own files never stand in for ours or a library's.

With `python -m`, and with PYTHONPATH=., Python searches the current folder first: a user's own broker.py,
celery.py or logging.py would be imported in place of the right one. So that folder is taken off the path
before anything is imported, and put at its end when the user's modules are loaded (fog_tasks/loading.py).
"""

import os
import sys


def fog_broker() -> None:
    """Run `fog-broker`."""
    _run("broker")


def cloud_node() -> None:
    """Run `cloud-node`."""
    _run("cloud_node")


def device_sim() -> None:
    """Run `device-sim`."""
    _run("device_sim")


def fog_node() -> None:
    """Run `fog-node`."""
    _run("fog_node")


def _run(package: str) -> None:
    _leave_out(os.path.realpath(os.curdir))
    from importlib import import_module

    import_module(f"{package}.cli").app()


def _leave_out(folder: str) -> None:
    """Take a folder off the path, here and for the programs that we start."""
    if folder == os.path.dirname(os.path.dirname(os.path.realpath(__file__))):
        return  # A checkout: our own packages are in it.
    sys.path[:] = [one for one in sys.path if os.path.realpath(one) != folder]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(one for one in given if os.path.realpath(one) != folder)
