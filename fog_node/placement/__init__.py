"""Where a task is to run: policies as pure functions on plain data."""

from fog_node.placement.policies.explanation import Line, explain
from fog_node.placement.policies.loading import NAMED, load_policy
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
