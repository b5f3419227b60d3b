"""Other gateways at the broker of one that shares nothing with them. No I/O, no clock."""

import structlog

from broker.contract.message import Message
from broker.contract.messages import decode_state
from broker.errors import BadPayload
from broker.namesakes import SILENCE

log = structlog.get_logger()

MOST_HEARD = 16
"""Gateways that are kept in mind: whoever may publish states could make up more."""


class SoleGateway:
    """What the gateway called `node`, which takes all that is published, hears of others."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._heard: dict[str, float] = {}

    def hear(self, message: Message, now: float) -> None:
        """Take in what nodes tell of themselves; what was told before this gateway came says nothing."""
        if message.replayed or not message.topic.endswith("/state"):
            return
        try:
            state = decode_state(message.payload)
        except BadPayload:
            # Whoever may be there can't be told from it, and a gateway says so each second.
            return
        if not (state.cloud and state.online) or state.node == self._node:
            return
        if state.node not in self._heard:
            if len(self._heard) >= MOST_HEARD:
                return
            log.warning("gateway_not_alone", other=state.node, next_step="give this one a --name of its own")
        self._heard[state.node] = now

    def trouble(self, now: float) -> list[str]:
        """What is wrong, in words: a sentence for each gateway that was heard lately."""
        self._heard = {name: at for name, at in self._heard.items() if now - at <= SILENCE}
        return [
            f"the gateway {name!r} is at the same broker, and both run each task: give the one named"
            f" {self._node!r} a --name of its own too"
            for name in self._heard
        ]
