"""Where rules start tasks: by what the broker hands over, by the clock, and by what the node itself tells."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog

from broker.contract.message import Message
from broker.contract.refusal import Refusal, Taken
from fog_node.intake.acceptance import Acceptance
from fog_node.intake.submissions import Intake
from fog_node.jobs.refusal import Sender
from fog_node.rules.cause import Cause, Told, cause_in
from fog_node.rules.conditions import Reason
from fog_node.rules.rule import Rule
from fog_node.rules.rulebook import Rulebook
from fog_node.rules.verdict import Firing, PassedOver, Unfit

log = structlog.get_logger()

_NOTHING = Message(topic="", payload=b"")


class Firings:
    """Has the tasks of rules taken on, each like a submission.

    Rules hear the outcomes of this `node` here, as soon as those are durable, and not from the broker, which
    may forget them; one that `echoes` hands them back, which then counts for nothing. Gateways that `share`
    what they hear are the exception: each outcome is heard by the one to which the broker gives it.
    `announce` is called before each task is taken on.
    """

    def __init__(
        self,
        node: str,
        *,
        rulebook: Rulebook,
        intake: Intake,
        acceptance: Acceptance,
        announce: Callable[[Firing], None],
        echoes: bool,
        shares: bool,
    ) -> None:
        self._node = node
        self._rulebook = rulebook
        self._intake = intake
        self._acceptance = acceptance
        self._announce = announce
        self._shares = shares
        self._told = Told() if echoes and not shares else None
        self._circles: set[str] = set()

    def concerns(self, topic: str) -> bool:
        """Whether a rule may mean the messages of a topic."""
        return self._rulebook.concerns(topic)

    def receive(self, message: Message) -> Taken:
        """Take a message on a rule's topics; what is returned is done when all that it starts is durable.

        Whoever published it knows nothing of tasks: that one is refused is no fault of the message.
        """
        message, cause = cause_in(message)
        heard = self._is_echo(message, cause)
        return None if heard else self._take(message, cause)

    def tick(self, rule: Rule) -> None:
        """Start the task of a rule whose moment has come."""
        self._start(self._rulebook.fire(rule), _NOTHING, None)

    def follow(self, sender: Sender, message: Message) -> Message:
        """Let rules hear an outcome; return it as it is to be published."""
        heard = self._rulebook.concerns(message.topic)
        if sender.origin or not (heard or sender.answer):
            return message
        cause = Cause.of(sender, self._node)
        if heard and not self._shares:
            role = None if sender.answer is None else sender.answer.role
            self._take(msgspec.structs.replace(message, role=role), cause)
            if self._told is not None:
                self._told.remember(message, time.monotonic())
        return cause.marked(message)

    def _is_echo(self, message: Message, cause: Cause | None) -> bool:
        """Whether it is an outcome of this node, and so heard already; what was retained may not be."""
        if self._shares or message.replayed:
            return False
        recalled = self._told is not None and self._told.recall(message, time.monotonic())
        return recalled or (cause is not None and cause.node == self._node)

    def _take(self, message: Message, cause: Cause | None) -> asyncio.Future[None] | None:
        hops = 0 if cause is None else cause.hops
        started = []
        for verdict in self._rulebook.verdicts(message, time.monotonic(), hops=hops):
            match verdict:
                case Firing():
                    taken = self._start(verdict, message, cause)
                    if isinstance(taken, asyncio.Future):
                        started.append(taken)
                case Unfit():
                    self._acceptance.refuse(self._intake.unfit(verdict, message))
                case PassedOver(reason=Reason.HOPS, rule=rule) if rule.name not in self._circles:
                    self._circles.add(rule.name)
                    log.warning("rules_in_a_circle", rule=rule.name, topic=message.topic, hops=hops)
        return _all_of(started)

    def _start(self, firing: Firing, message: Message, cause: Cause | None) -> Taken:
        self._announce(firing)
        return self._acceptance.take(partial(self._intake.read_firing, firing, cause), message)


def _all_of(started: Sequence[asyncio.Future[Refusal | None]]) -> asyncio.Future[None] | None:
    """Done when all of them are, given up when one of them is; None where nothing is to be waited for."""
    if not started:
        return None
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(started)

    def one_is_done(one: asyncio.Future[Refusal | None]) -> None:
        nonlocal left
        left -= 1
        if done.done():
            return
        if one.cancelled():
            done.cancel()
        elif not left:
            done.set_result(None)

    for one in started:
        one.add_done_callback(one_is_done)
    return done
