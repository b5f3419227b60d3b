"""Where a task is to run: policies as pure functions on plain data."""

from fog_node.placement.explanation import Line, explain
from fog_node.placement.loading import NAMED, load_policy
from fog_node.placement.plain import POLICIES, Choices, Policy, by_weight
from fog_node.placement.situation import Candidate, Decision, Place, Probe, Situation, Work

__all__ = [
    "NAMED",
    "POLICIES",
    "Candidate",
    "Choices",
    "Decision",
    "Line",
    "Place",
    "Policy",
    "Probe",
    "Situation",
    "Work",
    "by_weight",
    "explain",
    "load_policy",
]
