"""Watches over jobs that are with another node: asks for the silent ones, then has them placed anew.

No I/O, no clock.
"""

from collections.abc import Callable

import structlog

from broker.errors import OutboxFull
from fog_node.jobs.job import Job
from fog_node.mesh.handed_over import HandedOver, HandedOverJobs

log = structlog.get_logger()

LEASES = 3
"""Leases without a word after which the job is taken back."""

UNHEARD = 1.0
"""Seconds after which a node that has a job has long said so."""


class Leases:
    """The leases of all jobs that are with the node at `address`, of `seconds` each.

    `hand_over` hands a job over, to that address or a gateway's; it may raise OutboxFull. `lose` takes a
    job back and has it placed anew.
    """

    def __init__(
        self,
        address: str,
        away: HandedOverJobs,
        *,
        seconds: float,
        hand_over: Callable[[Job, str], None],
        lose: Callable[[HandedOver], None],
    ) -> None:
        self._address = address
        self._away = away
        self._seconds = seconds
        self._hand_over = hand_over
        self._lose = lose

    def check(self, now: float) -> None:
        """Ask for the jobs whose lease has ended; take those back that were asked for often enough."""
        for away in self._away:
            if away.job.away and now - away.heard > self._seconds:
                self._renew(away, now)

    def ask_again(self, gone: str | None, now: float) -> None:
        """Hand over again what the gateway has that is gone, and what none has said to have.

        Should it return, what it says of them is as good as another's word.
        """
        for away in self._away:
            unheard = not away.holder and now - away.heard > UNHEARD
            if away.job.away and (away.holder == gone or unheard):
                away.holder, away.leases, away.heard = "", 0, now
                self._ask(away, self._address)

    def give_up_waiting(self) -> None:
        """Have placed anew what the other broker has not acknowledged, since nobody is there."""
        for away in self._away:
            if not away.arrived:
                self._lose(away)

    def _renew(self, away: HandedOver, now: float) -> None:
        away.heard = now
        away.leases += 1
        log.warning("hand_off_silent", peer=self._address, job=away.job.key, leases=away.leases)
        if away.leases >= LEASES:
            away.job.avoid(self._address)
            self._lose(away)
        else:
            # The gateway that has it is asked first: any other would begin it once more.
            self._ask(away, (away.leases == 1 and away.holder) or self._address)

    def _ask(self, away: HandedOver, address: str) -> None:
        away.asked = True
        try:
            self._hand_over(away.job, address)
        except OutboxFull as fault:
            log.warning("hand_off_not_asked", peer=address, job=away.job.key, reason=str(fault))
