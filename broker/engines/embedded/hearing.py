"""What a node hears at its own broker: messages that come, and those that were retained before it asked."""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from broker.contract.engine import Receiver
from broker.contract.identity import NOBODY, Identity
from broker.contract.message import Message
from broker.contract.refusal import Refusal
from broker.engines.embedded.access import Login
from broker.engines.embedded.core import LOGGED, BrokerCore
from broker.engines.embedded.message import RoutedMessage
from broker.engines.embedded.sessions.names import client_of, user_of
from broker.mqtt.passed_on import read_passed_on

log = structlog.get_logger()

AT_ONCE = 64
"""Retained messages that are handed over before others have their turn: there may be thousands."""


class Hearing:
    """Has a broker hand messages to `receiver`, its node."""

    def __init__(self, core: BrokerCore, receiver: Receiver) -> None:
        self._core = core
        self._receiver = receiver
        self._replayed: frozenset[str] = frozenset()

    async def hear(self, filters: Sequence[str], retained: Sequence[str]) -> None:
        """Hand over what comes under `filters`, and what is retained under new ones in `retained`."""
        core, router = self._core, self._core.router
        asked = [one for one in retained if one not in self._replayed]
        self._replayed = frozenset(retained)
        router.hand_to(self._receiver, filters)
        for number, message in enumerate(router.retained_under(asked), 1):
            # One that was replaced meanwhile would come after the one that took its place.
            if not core.paused and router.retained.holds(message):
                self._hand_over(message)
            if not number % AT_ONCE:
                await asyncio.sleep(0)

    def _hand_over(self, message: RoutedMessage) -> None:
        client, user = client_of(message.sender) or None, user_of(message.sender) or None
        identity = self._identity(client, user)
        taken = self._receiver(
            Message(
                topic=message.topic,
                payload=message.payload,
                qos=message.qos,
                replayed=True,
                client_id=client,
                user=user,
                role=None if identity is None else identity.role,
                reads=() if identity is None else identity.read,
                **read_passed_on(message.passed)._asdict(),
            )
        )
        if taken is not None and not isinstance(taken, Refusal):
            taken.add_done_callback(lambda done: _note(message.topic, done))

    def _identity(self, client: str | None, user: str | None) -> Identity | None:
        access = self._core.access
        if not access.has_users:
            return None
        # Who is not known any more, or was known by a certificate, has no more rights than anybody.
        return access.identity(Login(client or "", user, None, "")) or NOBODY


def _note(topic: str, done: Any) -> None:
    """Nobody waits for what was retained: it stays so, and is handed over again by the next life."""
    if not done.cancelled() and done.exception() is not None:
        log.warning("retained_not_taken_in", topic=topic[:LOGGED], reason=str(done.exception()))
