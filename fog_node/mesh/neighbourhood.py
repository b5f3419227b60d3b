"""The fog nodes next to this one: a link to each, who is there, and the hand-offs to them.

A link hears its neighbour's states and the outcomes of what was handed over, and takes hand-offs there.
Nothing that is heard is published again, so that messages cannot go round.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import structlog

from broker.contract.message import Message
from broker.contract.messages import NodeState, decode_state
from broker.contract.topics import STATE_FILTER, StateTopic, Weight, parse
from broker.errors import BadPayload, BadTopic
from broker.links.link import Link
from broker.namesakes import Namesakes
from fog_node.mesh.peer import Peer, answer_filters
from fog_node.mesh.questions import all_or_late
from fog_node.placement.board import Board, Change

log = structlog.get_logger()

SWEEP_INTERVAL = 0.5

MAX_NEIGHBOURS = 64
"""Links that are kept: mDNS can name any number."""

SPARES = 2
"""Other addresses of a neighbour that are remembered."""


class Neighbour:
    """One link to a neighbour's broker. Its name is known once it has told its first state."""

    def __init__(self, url: str, link: Link, hood: "Neighbourhood") -> None:
        self.url = url
        self.link = link
        self._hood = hood
        self.peer: Peer | None = None

    def start(self, node: str) -> None:
        """Begin to connect."""
        self.link.start(self._receive, [*answer_filters(node), STATE_FILTER])

    def is_to(self, node: str) -> bool:
        """Whether it is the link to that node."""
        return self.peer is not None and self.peer.address == node

    def _receive(self, message: Message) -> asyncio.Future[None] | None:
        try:
            topic = parse(message.topic)
            if isinstance(topic, StateTopic):
                self._hood.hear(self, decode_state(message.payload))
                return None
        except (BadTopic, BadPayload) as fault:
            log.warning("neighbour_unreadable", topic=message.topic, reason=str(fault))
            return None
        return None if self.peer is None else self.peer.receive(message)


class Neighbourhood:
    """All neighbours of one node. `make_peer` makes the hand-off to a neighbour by its name and link.

    A neighbour has one link, whatever addresses lead to it. The others are spare, and tried when it is gone:
    it may come back at another one.
    """

    def __init__(
        self,
        namesakes: Namesakes,
        board: Board,
        make_link: Callable[[str], Link],
        make_peer: Callable[[str, Link], Peer],
    ) -> None:
        self._namesakes = namesakes
        self._board = board
        self._make_link = make_link
        self._make_peer = make_peer
        self._neighbours: dict[str, Neighbour] = {}
        self._peers: dict[str, Peer] = {}
        self._sending: dict[str, asyncio.Task[NoReturn]] = {}
        self._retired: dict[Neighbour, asyncio.Task[None]] = {}
        # By node, the latest last.
        self._spares: dict[str, list[str]] = {}

    def add(self, url: str) -> bool:
        """Stay connected to the broker at `url` from now on; tell whether that is new.

        A second call does nothing, nor one too many.
        """
        if url in self._neighbours or len(self._neighbours) >= MAX_NEIGHBOURS or self._is_spare(url):
            return False
        neighbour = self._neighbours[url] = Neighbour(url, self._make_link(url), self)
        neighbour.start(self._namesakes.node)
        return True

    def drop(self, url: str) -> None:
        """Give up the broker at `url`; what was handed over there is placed anew. It may be added again."""
        # An address that is given up must not come back as a spare.
        for urls in self._spares.values():
            if url in urls:
                urls.remove(url)
        if url in self._neighbours:
            self._remove(self._neighbours[url])

    def connected(self, url: str) -> bool:
        """Whether a broker that was added can be reached now."""
        neighbour = self._neighbours.get(url)
        return neighbour is not None and neighbour.link.connected

    def hear(self, neighbour: Neighbour, state: NodeState) -> None:
        """Take in a state that came over a link: its neighbour's own, not that of others at its broker."""
        if state.node == self._namesakes.node:
            self._namesakes.hear(state, f"the broker {neighbour.link.place}", time.monotonic())
            return
        # Others' states come too where a neighbour bridges its broker, or is found twice.
        if state.cloud or self._neighbours.get(neighbour.url) is not neighbour:
            return
        # Who answers at an address is known from its first state, not from the address.
        if neighbour.peer is None:
            if state.node in self._peers and not self._has_moved(state):
                self._tell_of_two(neighbour, state)
                self._set_aside(neighbour, state.node)
                return
            if not state.online:
                return
            for former in [one for one in self._neighbours.values() if one.is_to(state.node)]:
                self._set_aside(former, state.node)
            neighbour.peer = self._make_peer(state.node, neighbour.link)
            self._peers[state.node] = neighbour.peer
            self._sending[state.node] = asyncio.get_running_loop().create_task(
                neighbour.peer.run(), name=f"neighbour {state.node}"
            )
        elif neighbour.peer.address != state.node:
            return
        now = time.monotonic()
        change = self._board.hear(state, now, known_until=neighbour.peer.known_until(now))
        if change in {Change.JOINED, Change.REBORN}:
            neighbour.peer.round_trip.anew()
        if change is not Change.KNOWN:
            log.info("neighbour", neighbour=state.node, change=change.value)

    def _has_moved(self, state: NodeState) -> bool:
        """Whether a node that is heard over another link than its own is silent there."""
        return state.online and self._board.state(state.node) is None

    def _tell_of_two(self, neighbour: Neighbour, state: NodeState) -> None:
        known = self._board.state(state.node)
        if state.online and known is not None and known.birth != state.birth:
            log.warning(
                "neighbour_name_taken",
                neighbour=state.node,
                urls=[
                    neighbour.url,
                    *(one.url for one in self._neighbours.values() if one.is_to(state.node)),
                ],
                next_step="one of them gets tasks from here; give the other another --name",
            )

    def _is_spare(self, url: str) -> bool:
        return any(url in urls for urls in self._spares.values())

    def _set_aside(self, neighbour: Neighbour, node: str) -> None:
        """Disconnect a link to a node that has another one; its address is tried when that one is silent."""
        self._remove(neighbour)
        self._spares[node] = [*self._spares.get(node, []), neighbour.url][-SPARES:]

    def _remove(self, neighbour: Neighbour) -> None:
        del self._neighbours[neighbour.url]
        peer = neighbour.peer
        if peer is not None:
            del self._peers[peer.address]
            self._board.forget(peer.address)
            self._sending.pop(peer.address).cancel()
            peer.lose_all()
        self._retire(neighbour)

    def _retire(self, neighbour: Neighbour) -> None:
        """Disconnect a link that is not wanted any more."""
        if neighbour not in self._retired:
            stopping = asyncio.get_running_loop().create_task(neighbour.link.stop(), name="retire a link")
            self._retired[neighbour] = stopping
            stopping.add_done_callback(lambda _: self._retired.pop(neighbour, None))

    def peer(self, node: str) -> Peer | None:
        """The hand-off to a neighbour."""
        return self._peers.get(node)

    def neighbours(self) -> list[Neighbour]:
        """Every link, whether its neighbour was ever heard of or not."""
        return list(self._neighbours.values())

    def linked(self) -> set[str]:
        """The neighbours whose brokers can be reached now."""
        return {name for name, peer in self._peers.items() if peer.connected}

    def ask(
        self, nodes: Sequence[str], weight: Weight, task: str, seconds: float
    ) -> asyncio.Future[None] | None:
        """Ask neighbours what a task would wait for there; the future is done with the last answer.

        It is done after `seconds` at the latest. None where none of them can be asked.
        """
        peers = [peer for node in nodes if (peer := self._peers.get(node)) is not None]
        answers = [answer for peer in peers if (answer := peer.questions.ask(weight, task)) is not None]
        return all_or_late(answers, seconds) if answers else None

    def peers(self) -> list[Peer]:
        """The hand-offs to all neighbours, for taking a job back."""
        return list(self._peers.values())

    async def run(self) -> NoReturn:
        """Notice who has died, and give back what was handed to them, until cancelled."""
        try:
            while True:
                await asyncio.sleep(SWEEP_INTERVAL)
                for name in self._board.sweep(time.monotonic()):
                    log.warning("neighbour_gone", neighbour=name, jobs=self._peers[name].open)
                    self._peers[name].lose_all()
                    # It may be back at another address, and its old link would never learn of it.
                    for url in self._spares.pop(name, []):
                        self.add(url)
        finally:
            for sending in self._sending.values():
                sending.cancel()
            await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Disconnect."""
        for neighbour in self._neighbours.values():
            await neighbour.link.stop()
