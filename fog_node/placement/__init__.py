"""Where a task is to run: policies as pure functions on plain data.

`NAMED` and `load_policy` are loaded on first use: they log, and what decides loads no log.
"""

from typing import TYPE_CHECKING, Any

from fog_node.placement.policies.explanation import Line, explain
from fog_node.placement.policies.situation import (
    Candidate,
    Decision,
    Place,
    Policy,
    Probe,
    Situation,
    Work,
    open_neighbours,
)

if TYPE_CHECKING:
    from fog_node.placement.policies.loading import NAMED, load_policy

__all__ = [
    "NAMED",
    "Candidate",
    "Decision",
    "Line",
    "Place",
    "Policy",
    "Probe",
    "Situation",
    "Work",
    "explain",
    "load_policy",
    "open_neighbours",
]


def __getattr__(name: str) -> Any:
    if name not in {"NAMED", "load_policy"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Here, for the reason that stands above.
    from fog_node.placement.policies import loading  # noqa: PLC0415

    return getattr(loading, name)
