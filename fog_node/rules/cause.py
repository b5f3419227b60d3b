"""The task whose outcome led to a rule's task: so a chain of rules takes each step once."""

from collections import OrderedDict, deque
from hashlib import blake2b

import msgspec

from broker.contract.message import Message, UserProperties
from fog_node.jobs.refusal import Sender

PROPERTY = "weighbridge-cause"
"""The user property by which an outcome carries its cause to whoever hears it from the broker."""

DIGEST = 12
"""Bytes: two tasks would be taken for one once in 2 to the power of 96."""

MOST = 10_000
REMEMBERED = 30.0
"""How many outcomes are remembered until the broker hands them back, and for how many seconds."""


class Cause(msgspec.Struct, frozen=True):
    """A task whose outcome rules hear; `hops` counts the rules before it, `task` tells it from others."""

    hops: int
    task: str

    @classmethod
    def of(cls, sender: Sender) -> "Cause":
        """The cause that the outcome of a sender's task is."""
        hops = 0 if sender.answer is None else sender.answer.hops
        return cls(hops, _digest(sender.device, sender.id, sender.fingerprint.hex()))

    def id_for(self, rule: str) -> str:
        """What the task that a rule makes of it is called, each time that it is made."""
        return _digest(self.task, rule)

    def marked(self, message: Message) -> Message:
        """A message that carries this cause."""
        carried = (*message.user_properties, (PROPERTY, f"{self.hops}.{self.task}"))
        return msgspec.structs.replace(message, user_properties=carried)


def cause_in(message: Message) -> tuple[Message, Cause | None]:
    """A message without the cause that it carries, and that. Anybody can write one: it is no proof."""
    carried = next((value for name, value in message.user_properties if name == PROPERTY), None)
    if carried is None:
        return message, None
    rest: UserProperties = tuple(one for one in message.user_properties if one[0] != PROPERTY)
    hops, _, task = carried.partition(".")
    # As many digits as there can be: more would be a number that nothing is meant by.
    fits = hops.isascii() and hops.isdigit() and len(hops) <= 4 and task.isalnum() and len(task) <= 2 * DIGEST
    return msgspec.structs.replace(message, user_properties=rest), Cause(int(hops), task) if fits else None


class Told:
    """Outcomes that a broker will hand back without their causes, as brokers of MQTT 3.1.1 do."""

    def __init__(self) -> None:
        self._causes: OrderedDict[bytes, deque[tuple[float, Cause]]] = OrderedDict()

    def remember(self, message: Message, cause: Cause, now: float) -> None:
        """Keep the cause of a message for a while."""
        key = _key(message)
        self._causes.setdefault(key, deque(maxlen=MOST)).append((now, cause))
        self._causes.move_to_end(key)
        self._forget(now)

    def recall(self, message: Message, now: float) -> Cause | None:
        """The cause of a message that comes back, once for each time that it was told."""
        self._forget(now)
        kept = self._causes.get(key := _key(message))
        if not kept:
            return None
        _, cause = kept.popleft()
        if not kept:
            del self._causes[key]
        return cause

    def _forget(self, now: float) -> None:
        while self._causes:
            key, kept = next(iter(self._causes.items()))
            if len(self._causes) <= MOST and kept[-1][0] + REMEMBERED > now:
                return
            del self._causes[key]


def _key(message: Message) -> bytes:
    return blake2b(b"%b\0%b" % (message.topic.encode(), message.payload), digest_size=DIGEST).digest()


def _digest(*parts: str) -> str:
    # No part holds what stands between them.
    return blake2b("/".join(parts).encode(), digest_size=DIGEST).hexdigest()
