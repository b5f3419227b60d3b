"""The parts of a node's process by the modules that they are, and the legs of a task's way. No I/O."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOOP = "event loop, sockets"
OTHER = "rest of the node"

# The rooms of the house; of two that hold a module the inner one counts.
_PARTS = {
    "broker.engines.embedded": "MQTT broker",
    "broker.client": "MQTT client",
    "broker.engines": "MQTT client",
    "paho": "MQTT client",
    "fog_node.intake": "intake",
    "broker.contract.topics": "intake",
    "fog_tasks.declaration": "intake",
    "fog_node.placement": "placement",
    "fog_node.mesh.neighbourhood": "placement",
    "fog_node.journal": "journal, main thread",
    "broker.storage": "journal, main thread",
    "fog_node.execution": "to the workers",
    "fog_tasks.running": "to the workers",
    "fog_node.execution.report_consumer": "from the workers",
    "fog_node.execution.report_reader": "from the workers",
    "fog_tasks.reporting": "from the workers",
    "fog_node.replies": "outcome and reply",
    "broker.contract.messages": "outcome and reply",
    "fog_node.dispatcher": "dispatcher and books",
    "fog_node.intake.acceptance": "dispatcher and books",
    "fog_node.routing": "dispatcher and books",
    "fog_node.jobs": "dispatcher and books",
    # Below it stands everything; what is nowhere else is the loop's own.
    "fog_node.program": LOOP,
}


def part_of(modules: Iterable[str]) -> str:
    """The part that a stack of modules is in, the innermost first: libraries count for who called them."""
    for module in modules:
        name = module
        while name:
            if name in _PARTS:
                return _PARTS[name]
            name = name.rpartition(".")[0]
        if module.partition(".")[0] in {"fog_node", "broker", "fog_tasks"}:
            return OTHER
    return LOOP


@dataclass(frozen=True, slots=True)
class Passage:
    """The moments of one task, in seconds: sent and answered at the device, `ran` in the worker."""

    sent: float
    received: float
    stored: float
    sending: float
    ran: float
    reported: float
    ending: float
    ended: float
    answered: float


LEGS = (
    ("device to node: MQTT, loopback", "sent", "received"),
    ("intake, placement, written for Celery", "received", "sending"),
    ("Redis, Celery's worker, its process", "sending", "ran"),
    ("the report back: Redis, read by the node", "ran", "reported"),
    ("the outcome put together", "reported", "ending"),
    ("the outcome's commit", "ending", "ended"),
    ("reply to the device: MQTT, loopback", "ended", "answered"),
)


def passage(sent: float, ran: float, answered: float, moments: Sequence[tuple[str, float]]) -> Passage | None:
    """Put together what was noted of one task, alone on its way; None if something of it is missing."""
    first: dict[str, float] = {}
    reported = 0.0
    for name, at in moments:
        if sent <= at <= answered:
            first.setdefault(name, at)
            # `Running` may be reported by itself; what ends the task is the last report before its end.
            if name == "reported" and "ending" not in first:
                reported = at
    needed = ("received", "stored", "sending", "ending", "ended")
    if not reported or any(name not in first for name in needed):
        return None
    return Passage(
        sent=sent,
        ran=ran,
        reported=reported,
        answered=answered,
        **{name: first[name] for name in needed},
    )


def legs(passages: Sequence[Passage]) -> dict[str, float]:
    """The median of each leg, in milliseconds."""
    return {name: median_ms(passages, begin, end) for name, begin, end in LEGS}


def median_ms(passages: Sequence[Passage], begin: str, end: str) -> float:
    """The median time between two moments, in milliseconds."""
    taken: list[float] = [getattr(one, end) - getattr(one, begin) for one in passages]
    return 1e3 * statistics.median(taken)
