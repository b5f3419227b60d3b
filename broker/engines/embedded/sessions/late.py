"""What a client that is there has not acknowledged in time: it keeps back nothing that comes after it."""

from broker.engines.embedded.message import Delivery
from broker.engines.embedded.sessions.waiting import QueueLimits, cost
from broker.engines.embedded.sessions.window import Window

OVERDUE = 20.0
"""Seconds after which a client that is there has seen a message, and will not acknowledge it any more.

PubSubClient, for one, drops packets that are larger than its buffer without a word.
"""


def set_aside(window: Window, limits: QueueLimits, now: float) -> tuple[int, list[Delivery]]:
    """Set aside what is overdue, if that lets others pass, within the limits of what waits.

    Return how many those are, and the oldest of all that were set aside so far, which are given up for it.
    """
    late = window.set_aside(now - OVERDUE)
    aside = tuple(window.aside)
    kept, size = len(aside), sum(map(cost, aside))
    given_up = []
    for delivery in aside:
        if kept <= limits.messages and size <= limits.bytes:
            break
        kept, size = kept - 1, size - cost(delivery)
        window.give_up(delivery)
        given_up.append(delivery)
    return late, given_up
