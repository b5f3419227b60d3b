"""The task whose outcome led to a rule's task: so a chain takes each step once, and a circle ends."""

from collections import OrderedDict, deque
from hashlib import blake2b

import msgspec

from broker.contract.message import Message
from fog_node.jobs.refusal import Sender

PROPERTY = "weighbridge-cause"
"""The user property by which an outcome carries its cause to whoever hears it from the broker."""

DIGEST = 12
"""Bytes: two tasks would be taken for one once in 2 to the power of 96."""

MOST = 10_000
REMEMBERED = 10.0
"""How many outcomes are remembered until the broker hands them back, and for how many seconds."""


class Cause(msgspec.Struct, frozen=True):
    """A task whose outcome rules hear.

    `hops` counts the rules before it, `task` tells it from others, `node` is the node that has told it.
    """

    hops: int
    task: str
    node: str

    @classmethod
    def of(cls, sender: Sender, node: str) -> "Cause":
        """The cause that the outcome of a sender's task is."""
        hops = 0 if sender.answer is None else sender.answer.hops
        return cls(hops, _digest(sender.device, sender.id, sender.fingerprint.hex()), node)

    def id_for(self, rule: str) -> str:
        """What the task that a rule makes of it is called, each time that it is made."""
        return _digest(self.task, rule)

    def marked(self, message: Message) -> Message:
        """A message that carries this cause."""
        carried = (PROPERTY, f"{self.hops}.{self.task}.{self.node}")
        return msgspec.structs.replace(message, user_properties=(*message.user_properties, carried))


def cause_in(message: Message) -> tuple[Message, Cause | None]:
    """A message without the cause that it carries, and that. Anybody can write one: it is no proof."""
    carried = next((value for name, value in message.user_properties if name == PROPERTY), None)
    if carried is None:
        return message, None
    rest = tuple(one for one in message.user_properties if one[0] != PROPERTY)
    hops, task, node = [*carried.split(".", 2), "", ""][:3]
    # As many digits as there can be: more would be a number that nothing is meant by.
    fits = hops.isascii() and hops.isdigit() and len(hops) <= 4 and task.isalnum() and len(task) <= 2 * DIGEST
    cause = Cause(int(hops), task, node) if fits and node else None
    return msgspec.structs.replace(message, user_properties=rest), cause


class Told:
    """Outcomes that a broker is about to hand back: one of MQTT 3.1.1 does so without their causes."""

    def __init__(self) -> None:
        self._moments: OrderedDict[bytes, deque[float]] = OrderedDict()

    def remember(self, message: Message, now: float) -> None:
        """Expect a message to come back."""
        key = _key(message)
        self._moments.setdefault(key, deque(maxlen=MOST)).append(now)
        self._moments.move_to_end(key)
        self._forget(now)

    def recall(self, message: Message, now: float) -> bool:
        """Whether this one was expected; once for each time that it was told."""
        self._forget(now)
        moments = self._moments.get(key := _key(message))
        if not moments:
            return False
        moments.popleft()
        if not moments:
            del self._moments[key]
        return True

    def _forget(self, now: float) -> None:
        while self._moments:
            key, moments = next(iter(self._moments.items()))
            if len(self._moments) <= MOST and moments[-1] + REMEMBERED > now:
                return
            del self._moments[key]


def _key(message: Message) -> bytes:
    return blake2b(b"%b\0%b" % (message.topic.encode(), message.payload), digest_size=DIGEST).digest()


def _digest(*parts: str) -> str:
    # No part holds what stands between them.
    return blake2b("/".join(parts).encode(), digest_size=DIGEST).hexdigest()
