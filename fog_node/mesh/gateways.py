"""The cloud as a fog node sees it: one broker, and the gateways behind it that say they are there."""

import asyncio
import time
from typing import NoReturn

import structlog

from broker.contract.message import Message
from broker.contract.messages import NodeState, decode_state
from broker.contract.topics import STATE_FILTER, StateTopic, parse
from broker.errors import BadPayload, BadTopic
from broker.links.link import Link
from broker.namesakes import Namesakes
from fog_node.mesh.advertised import Advertised
from fog_node.mesh.peer import Peer, answer_filters
from fog_node.placement.board import MISSED, STATE_INTERVAL, Board, Change

log = structlog.get_logger()

SWEEP_INTERVAL = 0.5


class Gateways:
    """Hears the cloud's gateways, and has what was with one that is gone taken on by another.

    The hand-off to all of them is `peer`; `board` keeps their states, on which places are chosen.
    `advertised`, if there is one, hears the fog nodes that are there.
    """

    def __init__(
        self,
        link: Link,
        peer: Peer,
        board: Board,
        namesakes: Namesakes,
        *,
        advertised: Advertised | None = None,
    ) -> None:
        self._link = link
        self._peer = peer
        self._board = board
        self._namesakes = namesakes
        self._advertised = advertised
        self._silent = time.monotonic()

    def start(self, node: str) -> None:
        """Begin to connect."""
        self._link.start(self.receive, [*answer_filters(node), STATE_FILTER])

    def receive(self, message: Message) -> asyncio.Future[None] | None:
        """Take in a state, or what came of a hand-off."""
        try:
            if not isinstance(parse(message.topic), StateTopic):
                return self._peer.receive(message)
            state = decode_state(message.payload)
        except (BadTopic, BadPayload) as fault:
            log.warning("cloud_unreadable", topic=message.topic, reason=str(fault))
            return None
        now = time.monotonic()
        if state.node == self._namesakes.node:
            self._namesakes.hear(state, f"the cloud's broker {self._link.place}", now)
        # A last will does not say whose it is.
        if state.cloud or (not state.online and self._board.state(state.node) is not None):
            self._hear(state, now)
        elif self._advertised is not None:
            self._advertised.hear(state, now)
        return None

    def _hear(self, state: NodeState, now: float) -> None:
        change = self._board.hear(state, now, known_until=self._peer.known_until(now))
        if change is not Change.KNOWN:
            log.info("gateway", gateway=state.node, change=change.name.lower())
        if change is Change.JOINED:
            self._peer.round_trip.anew()
            # While there was none, the broker may have had nobody to give a task to.
            self._peer.leases.ask_again(None, now)

    async def run(self) -> NoReturn:
        """Send what is handed over, and notice which gateways are gone, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._peer.run(), name="hand-offs to the cloud")
            group.create_task(self._sweep(), name="gateways")
        raise AssertionError("neither ends")

    async def _sweep(self) -> NoReturn:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = time.monotonic()
            self._sweep_advertised(now)
            for name in self._board.sweep(now):
                log.warning("gateway_gone", gateway=name, jobs=self._peer.open)
                if self._board.nodes:
                    self._peer.leases.ask_again(name, now)
                else:
                    self._peer.leases.give_up_waiting()

    def _sweep_advertised(self, now: float) -> None:
        if not self._link.connected:
            self._silent = now
        # While the cloud is away, and just after it, silence says nothing of the fog nodes.
        elif self._advertised is not None and now - self._silent > MISSED * STATE_INTERVAL:
            self._advertised.sweep(now)
