"""The policies by name, and a user's own by `module:function`."""

import importlib
from typing import cast

from broker.errors import SettingsError
from fog_node.placement import simple
from fog_node.placement.deadline import Deadline
from fog_node.placement.original import original
from fog_node.placement.probing import ProbeSome
from fog_node.placement.situation import Policy

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
    """Find a policy by its name, or import it as `module:function`. Raises SettingsError."""
    if name in NAMED:
        return NAMED[name]
    module_name, colon, function = name.partition(":")
    if not (module_name and colon and function):
        raise SettingsError(
            f"--policy {name!r} is unknown; there is {', '.join(NAMED)},"
            " or one of your own as module:function"
        )
    try:
        found = getattr(importlib.import_module(module_name), function)
    except ImportError as fault:
        raise SettingsError(
            f"--policy {name!r}: module {module_name!r} cannot be imported: {fault}"
        ) from fault
    except AttributeError as fault:
        raise SettingsError(f"--policy {name!r}: {module_name!r} has no {function!r}") from fault
    if not callable(found):
        raise SettingsError(f"--policy {name!r} cannot be called; it takes a task, a situation and a chance")
    return cast("Policy", found)
