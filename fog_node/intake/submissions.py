"""Reads what arrives and decides whether it can become a job. No I/O: time and keys are passed in."""

import secrets
from typing import Any

import msgspec

from broker.contract.identity import Identity, Role
from broker.contract.message import Message, UserProperties
from broker.contract.messages import ErrorCode, TaskError, decode_hand_off
from broker.contract.submissions import MOST_LEVELS, Options, Submission, canonical, may_reply, own_results
from broker.contract.topics import (
    ANONYMOUS,
    CatalogTopic,
    MeshResultTopic,
    MeshTaskTopic,
    ResultTopic,
    TaskTopic,
    Weight,
    is_level,
    parse,
)
from broker.errors import BadPayload, BadTopic
from broker.security.rules import may_subscribe
from fog_node.jobs.answer import Answer
from fog_node.jobs.fingerprint import fingerprint
from fog_node.jobs.job import Job
from fog_node.jobs.refusal import Refused, Sender
from fog_node.rules.cause import Cause
from fog_node.rules.verdict import Firing, Unfit
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task
from fog_tasks.errors import BadArguments

MOST_PROPERTIES = 8192
"""Bytes of a submission's user properties: as much as tracing may need (W3C's baggage). They stay in memory
and in the journal beside the payload."""


class Intake:
    """Turns messages into jobs, by the tasks that `node` has and the largest payload that it takes."""

    def __init__(self, node: str, registry: Registry, *, max_payload: int) -> None:
        self._node = node
        self._registry = registry
        self._max_payload = max_payload

    def read_task(self, message: Message, *, key: int, now: float) -> Job:
        """Read a device's submission. Raises Refused."""
        try:
            topic = parse(message.topic)
        except BadTopic as fault:
            sender = _sender(fault.device, fault.id, message)
            raise Refused(ErrorCode.BAD_TOPIC, str(fault), sender=sender) from fault
        assert isinstance(topic, TaskTopic)
        sender = _sender(topic.device, topic.id, message)
        task, submission = self._examine(
            topic.task, message.payload, sender, message.role, message.user_properties
        )
        options = submission.options
        return Job(
            key=key,
            origin="",
            device=sender.device,
            id=sender.id,
            weight=task.weight if topic.weight is Weight.AUTO else topic.weight,
            task=task.name,
            payload=message.payload,
            fingerprint=fingerprint(task.name, _asked(submission, message.payload)),
            reply=_reply(options, sender, task.name),
            correlation=sender.correlation,
            user_properties=sender.user_properties,
            received=now,
            deadline=_earlier(now, options.deadline, message.expiry),
            max_hops=options.max_hops,
        )

    def read_firing(
        self, firing: Firing, cause: Cause | None, message: Message, *, key: int, now: float
    ) -> Job:
        """Read what a rule makes of a message, or of an outcome, which is its `cause`. Raises Refused."""
        name, same = firing.id, firing.payload
        if name is None and cause is not None:
            # Its payload may tell, when it is heard again, that it is told again.
            name, same = cause.id_for(firing.rule.name), cause.task.encode()
        sender = _told_by(firing.answer, firing.device, name, message)
        task, _ = self._examine(
            firing.task, firing.payload, sender, firing.answer.role, message.user_properties
        )
        return Job(
            key=key,
            origin="",
            device=sender.device,
            id=sender.id,
            weight=task.weight if firing.weight is Weight.AUTO else firing.weight,
            task=task.name,
            payload=firing.payload,
            fingerprint=fingerprint(task.name, same),
            reply=sender.reply,
            correlation=sender.correlation,
            user_properties=sender.user_properties,
            answer=sender.answer,
            received=now,
            deadline=_earlier(now, firing.deadline, message.expiry),
            max_hops=firing.max_hops,
        )

    def unfit(self, unfit: Unfit, message: Message) -> Refused:
        """The refusal of a message of which its rule cannot make a task."""
        sender = _told_by(unfit.answer, unfit.device, unfit.id, message)
        return Refused(unfit.code, unfit.message, sender=sender, task=unfit.rule.task)

    def read_hand_off(self, message: Message, *, key: int, now: float) -> Job:
        """Read what another node hands over.

        Raises Refused, or BadTopic and BadPayload where no node can be told.
        """
        topic = parse(message.topic)
        assert isinstance(topic, MeshTaskTopic)
        handed = decode_hand_off(message.payload)
        reply = str(MeshResultTopic(topic.origin, topic.key))
        sender = Sender(
            device=handed.device,
            id=handed.id,
            reply=reply,
            origin=topic.origin,
            user_properties=_kept(handed.user_properties),
        )
        task, _ = self._examine(topic.task, handed.payload, sender, Role.NODE, handed.user_properties)
        return Job(
            key=key,
            origin=topic.origin,
            device=handed.device,
            id=handed.id,
            weight=task.weight if topic.weight is Weight.AUTO else topic.weight,
            task=task.name,
            payload=handed.payload,
            fingerprint=topic.key.encode(),
            reply=reply,
            received=now,
            deadline=None if handed.budget_ms is None else now + handed.budget_ms / 1e3,
            user_properties=sender.user_properties,
            route=handed.route,
            part=handed.part,
            max_hops=handed.max_hops,
        )

    def fault_of(self, job: Job) -> TaskError | None:
        """Why a job that an earlier life of the node took on cannot run any more; None if it can.

        Its user may have changed the task since then.
        """
        task = self._registry.get(job.task)
        if task is None:
            return TaskError(ErrorCode.UNKNOWN_TASK, f"task {job.task!r} is not loaded any more")
        try:
            task.check(job.payload)
        except BadPayload as fault:
            return TaskError(ErrorCode.BAD_PAYLOAD, str(fault))
        except BadArguments as fault:
            return TaskError(ErrorCode.BAD_ARGUMENTS, str(fault))
        return None

    def _examine(
        self, name: str, payload: bytes, sender: Sender, role: Role | None, properties: UserProperties
    ) -> tuple[Task[..., Any], Submission]:
        # The cheap checks first: arguments are read only of what may run at all.
        task = self._registry.get(name)
        if task is None:
            several = " or ".join(self._registry.named_so(name))
            text = f"no task {name[:20]!r} here; {several or f'see {CatalogTopic(self._node)}'}"
            raise Refused(ErrorCode.UNKNOWN_TASK, text, sender=sender, task=name)
        if task.roles and role not in task.roles:
            text = f"this task is for the roles {', '.join(sorted(task.roles))}"
            raise Refused(ErrorCode.FORBIDDEN, text, sender=sender, task=name)
        if len(payload) > self._max_payload:
            message = f"the payload has {len(payload)} bytes; it may have {self._max_payload}"
            raise Refused(ErrorCode.TOO_LARGE, message, sender=sender, task=name)
        if properties != sender.user_properties:
            message = f"the user properties have {_size(properties)} bytes; they may have {MOST_PROPERTIES}"
            raise Refused(ErrorCode.TOO_LARGE, message, sender=sender, task=name)
        try:
            return task, task.check(payload)
        except BadPayload as fault:
            raise Refused(ErrorCode.BAD_PAYLOAD, str(fault), sender=sender, task=name) from fault
        except BadArguments as fault:
            raise Refused(ErrorCode.BAD_ARGUMENTS, str(fault), sender=sender, task=name) from fault


def _sender(device: str | None, id: str | None, message: Message) -> Sender:
    """Find who sent a message: the topic says it, or else the user or client, where that can be a level."""
    if device is None:
        client = message.user or message.client_id
        device = client if client is not None and is_level(client) else ANONYMOUS
    # Random: a number counted here would begin anew with each life, and meet results that are remembered.
    name = id if id is not None else secrets.token_hex(8)
    reply = str(ResultTopic(device, name))
    wanted = message.response_topic
    if (
        wanted is not None
        and may_reply(wanted, device)
        # A rule has a device of its own, which is no user.
        and _may_hear(wanted, message.user or device, message)
    ):
        reply = wanted
    return Sender(
        device=device,
        id=name,
        reply=reply,
        correlation=message.correlation,
        user_properties=_kept(message.user_properties),
    )


def _told_by(answer: Answer, device: str, id: str | None, message: Message) -> Sender:
    """Who a rule submits for; where the rule names no topic, the message may have."""
    return msgspec.structs.replace(_sender(device, id, message), answer=answer)


def _may_hear(topic: str, name: str, message: Message) -> bool:
    """Whether the sender may read a topic: the node would publish for others what it may not itself."""
    role = message.role
    return role is None or may_subscribe(Identity(name, role, read=message.reads), topic)


def _earlier(now: float, *limits: float | None) -> float | None:
    """When the first of some limits is up: the sender may say both, the task's option and MQTT's expiry."""
    given = [limit for limit in limits if limit is not None]
    return now + min(given) if given else None


def _kept(properties: UserProperties) -> UserProperties:
    """What comes back with an outcome, be it that they are too large."""
    return properties if not properties or _size(properties) <= MOST_PROPERTIES else ()


def _size(properties: UserProperties) -> int:
    """Bytes of user properties in a packet."""
    return sum(5 + len(name.encode()) + len(value.encode()) for name, value in properties)


_NO_OPTIONS = Options()


def _asked(submission: Submission, payload: bytes) -> bytes:
    """What a payload asks for. Options are no part of it: what is left of a deadline is less each time."""
    if submission.options == _NO_OPTIONS:
        return payload
    return canonical(submission.arguments, submission.named)


def _reply(options: Options, sender: Sender, task: str) -> str:
    wanted = options.reply
    if wanted is None:
        return sender.reply
    # The node publishes it, and may publish anywhere: a device could write into others' results.
    own = own_results(sender.device)
    if not wanted.startswith(own) or not may_reply(wanted, sender.device):
        message = f"option $reply is not a topic below {own} of at most {MOST_LEVELS} levels"
        raise Refused(ErrorCode.BAD_PAYLOAD, message, sender=sender, task=task)
    return wanted
