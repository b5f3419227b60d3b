"""The policies by name, and a user's own by `module:function`."""

import importlib
import inspect
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from broker.errors import SettingsError
from fog_node.placement.policies import simple
from fog_node.placement.policies.deadline import Deadline
from fog_node.placement.policies.guarding import Guarded
from fog_node.placement.policies.original import original
from fog_node.placement.policies.probing import ProbeSome
from fog_node.placement.policies.situation import Policy
from fog_tasks.loading import find_beside

log = structlog.get_logger()

NAMED: dict[str, Policy] = {
    "deadline": Deadline(),
    "weight": simple.weight,
    "original": original,
    "local": simple.local,
    "cloud": simple.cloud,
    "random": simple.at_random,
    "two-choices": simple.two_choices,
    "least-wait": simple.least_wait,
    "probe": ProbeSome(),
}


def load_policy(name: str) -> Policy:
    """Find a policy by its name, or import it as `module:function`. Raises SettingsError.

    Where one's own fails later, the default decides, and the log tells why.
    """
    if name in NAMED:
        return NAMED[name]
    module_name, colon, function = name.partition(":")
    if not (module_name and colon and function):
        raise SettingsError(
            f"--policy {name!r} is unknown; there is {', '.join(NAMED)},"
            " or one of your own as module:function"
        )
    # A program that is started by its name does not look for modules in the current folder by itself.
    find_beside(Path.cwd())
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as fault:
        reason = f"{type(fault).__name__}: {fault}"
        raise SettingsError(
            f"--policy {name!r}: module {module_name!r} cannot be imported: {reason}"
        ) from fault
    if not hasattr(module, function):
        raise SettingsError(f"--policy {name!r}: {module_name!r} has no {function!r}")
    found = getattr(module, function)
    if not _can_be_called(found):
        raise SettingsError(f"--policy {name!r} cannot be called; it takes a task, a situation and a chance")
    return Guarded(found, NAMED["deadline"], partial(_complain, name))


def _can_be_called(found: Any) -> bool:
    if not callable(found) or inspect.iscoroutinefunction(found):
        return False
    try:
        inspect.signature(found).bind(None, None, None)
    except TypeError:
        return False
    except ValueError:
        pass  # one written in C, which does not say what it takes
    return True


def _complain(name: str, fault: str) -> None:
    log.error("policy_failed", policy=name, reason=fault, next_step="the policy deadline decides instead")
