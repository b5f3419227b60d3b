"""The parts of a node's process by the modules that they are, and the legs of a task's way. No I/O."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOOP = "event loop, sockets"
OTHER = "rest of the node"

_PARTS = {
    "broker.embedded": "MQTT broker",
    "broker.client": "MQTT client",
    "broker.external": "MQTT client",
    "broker.mosquitto": "MQTT client",
    "paho": "MQTT client",
    "fog_node.intake": "intake",
    "broker.topics": "intake",
    "tasks.arguments": "intake",
    "tasks.task": "intake",
    "fog_node.placer": "placement",
    "fog_node.placement": "placement",
    "fog_node.surroundings": "placement",
    "fog_node.board": "placement",
    "fog_node.neighbourhood": "placement",
    "fog_node.estimates": "placement",
    "fog_node.journal": "journal, main thread",
    "fog_node.sieve": "journal, main thread",
    "broker.group_commit": "journal, main thread",
    "broker.gathered": "journal, main thread",
    "broker.quickness": "journal, main thread",
    "fog_node.executor": "to the workers",
    "fog_node.pool": "to the workers",
    "fog_node.flight": "to the workers",
    "fog_node.work_queue": "to the workers",
    "tasks.celery_message": "to the workers",
    "fog_node.hearing": "from the workers",
    "fog_node.report_reader": "from the workers",
    "tasks.reports": "from the workers",
    "fog_node.outcomes": "outcome and reply",
    "fog_node.steps": "outcome and reply",
    "fog_node.endings": "outcome and reply",
    "fog_node.replies": "outcome and reply",
    "broker.messages": "outcome and reply",
    "fog_node.dispatcher": "dispatcher and books",
    "fog_node.acceptance": "dispatcher and books",
    "fog_node.open_jobs": "dispatcher and books",
    "fog_node.books": "dispatcher and books",
    "fog_node.rate": "dispatcher and books",
    "fog_node.job": "dispatcher and books",
    # Below it stands everything; what is nowhere else is the loop's own.
    "fog_node.program": LOOP,
}


def part_of(modules: Iterable[str]) -> str:
    """The part that a stack of modules is in, the innermost first: libraries count for who called them."""
    for module in modules:
        package, _, rest = module.partition(".")
        for name in (module, f"{package}.{rest.partition('.')[0]}", package):
            if name in _PARTS:
                return _PARTS[name]
        if package in ("fog_node", "broker", "tasks"):
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
