"""Whose the queues and reports in a Redis are: two nodes of one name would use the same ones. No I/O."""

from broker.namesakes import Namesakes
from fog_tasks.reporting.reports import Owner


class Ownership:
    """What a node says of itself in a Redis that others reach, and hears there of others of its name.

    Their workers run the tasks of both, and report to both; each hears those of its own.
    """

    def __init__(self, namesakes: Namesakes, redis: str) -> None:
        self._namesakes = namesakes
        self._place = f"the Redis {redis}"
        self.claim = Owner(namesakes.birth)

    def hear(self, owner: Owner, now: float) -> None:
        """Take in who hears the node's reports: it may be this node itself."""
        self._namesakes.hear_life(owner.birth, self._place, now)

    def is_shared(self, now: float) -> bool:
        """Whether another needs what is reported, too."""
        return self._namesakes.there(self._place, now)
