"""Tells Home Assistant what rules answer, and keeps what it was told, to clear it when a rule has gone."""

import asyncio
import time
from collections.abc import Iterable
from typing import NoReturn

from broker.programs.kept_file import KeptFile
from fog_node.replies.replies import Replies
from fog_node.rules.announcing import Announcing
from fog_node.rules.rule import Rule
from fog_node.rules.verdict import Firing

INTERVAL = 1.0
"""Seconds until what was told is on disk."""


class HomeAssistant:
    """Publishes an announcement before the first result that it is about."""

    def __init__(self, announcing: Announcing, file: KeptFile, replies: Replies) -> None:
        self._announcing = announcing
        self._file = file
        self._replies = replies
        self._changed = False
        file.load(announcing.load)

    def tell(self, firing: Firing) -> None:
        """Announce where the task that a rule starts is going to be answered, unless done of late."""
        result = firing.answer.result
        if firing.rule.announce is None or result is None:
            return
        message = self._announcing.announce(firing.rule, result, firing.levels, time.monotonic())
        if message is not None:
            self._changed = True
            self._replies.send(message)

    def follow(self, rules: Iterable[Rule]) -> None:
        """From now on there are these rules: clear what others announced."""
        for message in self._announcing.withdraw(rules):
            self._changed = True
            self._replies.send(message)

    async def run(self) -> NoReturn:
        """Write down what was told, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.save()

    def save(self) -> None:
        """Write down what was told, for the node's next life."""
        if self._changed:
            self._changed = False
            self._file.save(self._announcing.dump())
