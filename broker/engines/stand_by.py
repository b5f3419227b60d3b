"""Several nodes of one name at a broker: the one that was started last serves, and the others wait.

    serves --another has taken the connection--> waits --no newer one is there--> serves

A node that waits is a client of its own: it can tell its state and the outcomes of what it has accepted, and
hears which of these are cancelled. What is published for a node of this name goes to the one that serves.
"""

import asyncio
import secrets
import time
from dataclasses import replace
from typing import NoReturn

import structlog

from broker.client import BusClient, ClientSettings, Subscriptions
from broker.contract.mesh_filters import is_about_cancelling
from broker.contract.message import Message
from broker.contract.messages import decode_state
from broker.contract.topics import StateTopic
from broker.engines.ghosts import NODES_FILTERS
from broker.errors import BadPayload
from broker.namesakes import SILENCE, Namesakes

log = structlog.get_logger()

LOOK_INTERVAL = 0.5


class StandBy:
    """Has a client serve or wait. `serving` is how it connects to serve, as one that hears `heard`.

    Whoever has one lets it `hear` what comes under NODES_FILTERS, which are among them.
    """

    def __init__(
        self, client: BusClient, serving: ClientSettings, heard: Subscriptions, namesakes: Namesakes
    ) -> None:
        self._client = client
        self._namesakes = namesakes
        self._state = str(StateTopic(namesakes.node))
        self._serving = serving, heard
        # Nobody else's, and kept by no broker: the session that lasts is that of the one that serves.
        own_id = f"{serving.client_id}-waits-{secrets.token_hex(4)}"
        waiting = replace(serving, client_id=own_id, persistent=False)
        answering = [one for one in heard.filters if one in NODES_FILTERS or is_about_cancelling(one)]
        self._waiting = waiting, Subscriptions(waiting, answering)
        self._since = 0.0
        client.on_rival = self.wait

    @property
    def _place(self) -> str:
        return f"the broker {self._client.url.place}"

    def hear(self, message: Message, now: float) -> None:
        """Take in what is told in a node's name; what was told before the node came says nothing."""
        if message.topic != self._state or message.replayed:
            return
        try:
            self._namesakes.hear(decode_state(message.payload), self._place, now)
        except BadPayload as fault:
            log.warning("state_unreadable", topic=message.topic, reason=str(fault))

    def wait(self) -> None:
        """Leave the work to another. If nobody tells a state in this node's name, it comes back soon."""
        if self._namesakes.waits_at is None:
            self._since = time.monotonic()
            self._namesakes.waits_at = self._place
            self._client.become(*self._waiting)

    async def run(self) -> NoReturn:
        """Serve again once no newer one is there, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            now = time.monotonic()
            waits = self._namesakes.waits_at is not None and now - self._since > SILENCE
            # While the broker is away, its silence says nothing.
            if waits and self._client.connected and not self._namesakes.newer(self._place, now):
                self._namesakes.waits_at = None
                self._client.become(*self._serving)
