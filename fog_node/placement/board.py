"""Mitzenmacher's bulletin board: what the other nodes told last, how old it is, and which nodes are there.

Decisions on such a board herd onto the node that looked idle last ("How useful is old information", IEEE TPDS
11(1), 2000). So what this node has sent since is added to a neighbour's wait. No I/O, no clock.
"""

import enum
import math
from collections import deque
from dataclasses import dataclass, field

import msgspec

from broker.contract.messages import NodeState
from broker.contract.topics import Weight

STATE_INTERVAL = 1.0
"""Seconds between two states of a node."""

MISSED = 3.5
"""State intervals of silence after which a node is forgotten: three lost states, and half one for delays."""

GRACE = 2.0
"""Seconds between a node's last will and its being forgotten: a Wi-Fi link may fail for a moment."""

EARLIER = 10.0
"""Seconds after a node's last state for which words of an earlier life are recognised as late. Later ones are
of a life that goes on: of another node of this name, or of one whose clock and folder are lost."""

STALE = 0.5
"""Seconds of wait added for each second that a state is late: the node may have become busy since."""

MAX_NODES = 256
"""Nodes that are kept: whoever may publish states could make up more."""

SENDS_KEPT = 512
"""Own sends to one neighbour that are remembered one by one. Of older ones only their sum counts."""

RATE = 12.5e6
"""Bytes a second to another node that are assumed until they are measured: 100 Mbit/s."""

RATE_FROM = 64 * 1024
"""Bytes of the smallest payload from which the rate is learned: a smaller one tells the round trip only."""

SMOOTHING = 0.125
"""What the latest round trip counts: as TCP smooths its own (RFC 6298)."""


class Change(enum.Enum):
    """What a state told of its node."""

    LATE = "it does not count: it is from an earlier life, or of one node too many"
    KNOWN = "the node is still there"
    JOINED = "the node is new, or has come back"
    REBORN = "the node has started anew"
    DOUBTED = "the node has left, or its connection has"


@dataclass(slots=True)
class _Sends:
    """What this node has sent to one pool of a neighbour, in seconds of that pool's time.

    It decreases as time passes, and the neighbour's next report replaces it. Without this decay a busy sender
    would believe that every neighbour is full.
    """

    latest: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SENDS_KEPT))
    level: float = 0.0
    at: float = 0.0

    def add(self, seconds: float, now: float) -> None:
        self.level = self.at_time(now) + seconds
        self.at = now
        self.latest.append((now, seconds))

    def at_time(self, now: float) -> float:
        return max(0.0, self.level - (now - self.at))

    def reported(self, known_until: float, now: float) -> None:
        """Forget what was sent before `known_until`: the neighbour's report contains it."""
        while self.latest and self.latest[0][0] <= known_until:
            self.latest.popleft()
        self.level = sum(seconds for _, seconds in self.latest)
        self.at = now


@dataclass(slots=True)
class _Fresh:
    """A wait that a neighbour has told since its last state: with an outcome, or as an answer."""

    wait: float
    at: float


@dataclass(slots=True)
class _Peer:
    state: NodeState
    heard: float
    doubted: float | None = None
    round_trip: float | None = None
    rate: float = RATE
    sends: dict[Weight, _Sends] = field(default_factory=dict)
    fresh: dict[Weight, _Fresh] = field(default_factory=dict)


class View(msgspec.Struct, frozen=True):
    """One node as seen now, for one weight; in seconds."""

    slots: int
    wait: float
    age: float
    backlog: float
    round_trip: float | None
    alive: bool
    rate: float = RATE


class Board:
    """The other nodes, by name."""

    def __init__(self, interval: float = STATE_INTERVAL, grace: float = GRACE) -> None:
        self._interval = interval
        self._grace = grace
        self._peers: dict[str, _Peer] = {}
        # And when it was heard. Those of forgotten nodes too: what comes late of an earlier life is not news.
        self._births: dict[str, tuple[int, float]] = {}

    def hear(self, state: NodeState, now: float, *, known_until: float = math.inf) -> Change:
        """Take in a state or a last will.

        A state contains what was sent a round trip before it, but nothing sent after `known_until`.
        """
        peer = self._peers.get(state.node)
        birth, heard = self._births.get(state.node, (0, now))
        if state.birth < birth and now - heard < EARLIER:
            return Change.LATE
        if not state.online:
            if peer is None:
                return Change.LATE
            if peer.doubted is None:
                peer.doubted = now
            return Change.DOUBTED
        if peer is None and len(self._peers) >= MAX_NODES:
            return Change.LATE
        self._births[state.node] = state.birth, now
        if len(self._births) > 2 * MAX_NODES:
            del self._births[next(iter(self._births))]
        if peer is None:
            self._peers[state.node] = _Peer(state, heard=now)
            return Change.JOINED
        reborn = state.birth > peer.state.birth
        peer.state, peer.heard, peer.doubted = state, now, None
        peer.fresh.clear()
        for sends in peer.sends.values():
            sends.reported(min(known_until, now - (peer.round_trip or 0.0)), now)
        return Change.REBORN if reborn else Change.KNOWN

    @property
    def ever_heard(self) -> bool:
        """Whether any node has ever told its state here."""
        return bool(self._births)

    def sweep(self, now: float) -> list[str]:
        """Forget who has been silent, or doubted, for too long; return their names."""
        gone = [name for name, peer in self._peers.items() if self._is_gone(peer, now)]
        for name in gone:
            del self._peers[name]
        return gone

    def forget(self, node: str) -> None:
        """Forget a node that is no longer wanted."""
        self._peers.pop(node, None)

    def sent(self, node: str, weight: Weight, run: float, now: float) -> None:
        """Note that a task which runs `run` seconds was sent to a node."""
        peer = self._peers.get(node)
        if peer is not None:
            load = peer.state.load.get(weight)
            slots = max(1, load.slots) if load is not None else 1
            peer.sends.setdefault(weight, _Sends()).add(run / slots, now)

    def told(
        self, node: str, weight: Weight, wait: float, now: float, *, known_until: float | None = None
    ) -> None:
        """Note the wait that a node has told beside its states: with an outcome, or when it was asked.

        It contains what was sent before `known_until`, by default a round trip ago.
        """
        peer = self._peers.get(node)
        if peer is not None:
            peer.fresh[weight] = _Fresh(wait, now)
            if weight in peer.sends:
                until = now - (peer.round_trip or 0.0) if known_until is None else known_until
                peer.sends[weight].reported(until, now)

    def measured(self, node: str, round_trip: float) -> None:
        """Note how long a message to a node and its answer took."""
        peer = self._peers.get(node)
        if peer is not None:
            before = round_trip if peer.round_trip is None else peer.round_trip
            peer.round_trip = before + SMOOTHING * (round_trip - before)

    def round_trip(self, node: str) -> float | None:
        """How long a message to a node and its answer take, None if it was not measured."""
        peer = self._peers.get(node)
        return None if peer is None else peer.round_trip

    def transferred(self, node: str, size: int, seconds: float) -> None:
        """Note how long a payload of `size` bytes took until the node had acknowledged it."""
        peer = self._peers.get(node)
        if peer is not None and size >= RATE_FROM:
            rate = size / max(seconds - (peer.round_trip or 0.0), 1e-4)
            peer.rate += SMOOTHING * (rate - peer.rate)

    def view(self, node: str, weight: Weight, now: float) -> View | None:
        """What is thought of a node for one weight, or None if it is not known."""
        peer = self._peers.get(node)
        if peer is None:
            return None
        load = peer.state.load.get(weight)
        fresh = peer.fresh.get(weight)
        reported = 0.0 if load is None else load.estimated_wait_ms / 1e3
        wait, at = (reported, peer.heard) if fresh is None else (fresh.wait, fresh.at)
        sends = peer.sends.get(weight)
        age = now - at
        return View(
            slots=0 if load is None else load.slots,
            wait=wait + (0.0 if sends is None else sends.at_time(now)) + self._staleness(age),
            age=age,
            backlog=peer.state.backlog_ms / 1e3,
            round_trip=peer.round_trip,
            rate=peer.rate,
            alive=peer.doubted is None and not self._is_gone(peer, now),
        )

    def heard(self, node: str) -> float | None:
        """When a node was last heard of."""
        peer = self._peers.get(node)
        return None if peer is None else peer.heard

    def state(self, node: str) -> NodeState | None:
        """The last state of a node."""
        peer = self._peers.get(node)
        return None if peer is None else peer.state

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of those that are known."""
        return tuple(self._peers)

    def _staleness(self, age: float) -> float:
        return STALE * max(0.0, age - 1.5 * self._interval)

    def _is_gone(self, peer: _Peer, now: float) -> bool:
        doubted = peer.doubted is not None and now - peer.doubted > self._grace
        return doubted or now - peer.heard > MISSED * self._interval
