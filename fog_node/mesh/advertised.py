"""Neighbours found through the cloud: fog nodes tell their address in the state that they publish there."""

import structlog

from broker.contract.messages import NodeState
from broker.contract.url import BrokerUrl
from broker.errors import SettingsError
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.placement.board import Board

log = structlog.get_logger()

MAX_URL = 256
"""Characters of an address that is taken: others write it."""


class Advertised:
    """Keeps a link to each fog node that advertises itself and is there; the number of links is bounded.

    One that is gone at the cloud is dropped only once its own link is down too: nodes that see each
    other need no cloud.
    """

    def __init__(self, node: str, neighbourhood: Neighbourhood) -> None:
        self._node = node
        self._neighbourhood = neighbourhood
        self._there = Board()
        # The links that are there for this reason alone, by their nodes.
        self._linked: dict[str, str] = {}
        self._gone: set[str] = set()
        self._refused: set[str] = set()

    def hear(self, state: NodeState, now: float) -> None:
        """Take in the state of a fog node, as it was told at the cloud's broker."""
        if state.node == self._node:
            return
        self._there.hear(state, now)
        if self._there.state(state.node) is not state or not state.url:
            return
        self._gone.discard(state.node)
        before = self._linked.get(state.node)
        if before == state.url or not self._sound(state):
            return
        if before is not None:
            self._drop(state.node)
        if self._neighbourhood.add(state.url):
            self._linked[state.node] = state.url
            log.info("neighbour_advertised", neighbour=state.node, url=state.url)

    def sweep(self, now: float) -> None:
        """Drop who is gone."""
        self._gone.update(name for name in self._there.sweep(now) if name in self._linked)
        for name in tuple(self._gone):
            if not self._neighbourhood.connected(self._linked[name]):
                self._gone.discard(name)
                self._drop(name)

    def _drop(self, name: str) -> None:
        log.info("neighbour_dropped", neighbour=name)
        self._neighbourhood.drop(self._linked.pop(name))

    def _sound(self, state: NodeState) -> bool:
        fault = address_fault(state.url)
        if fault is not None and state.node not in self._refused:
            # It is told every second. The nodes that the board keeps are bounded, and so is this.
            self._refused = {one for one in self._refused if self._there.state(one) is not None}
            self._refused.add(state.node)
            log.warning("advertised_address_refused", neighbour=state.node, reason=fault)
        return fault is None


def address_fault(url: str) -> str | None:
    """Say why other nodes cannot be told this address of a broker, or take it; None if they can."""
    if len(url) > MAX_URL:
        return f"it is longer than {MAX_URL} characters"
    try:
        parsed = BrokerUrl.parse(url)
    except SettingsError as fault:
        return str(fault)
    if parsed.unix:
        return "a socket of one machine is no address for others"
    if parsed.username is not None or parsed.password is not None:
        return "an address that is told to others holds no user and no password"
    return None
