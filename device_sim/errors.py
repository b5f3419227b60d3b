"""Every error that a device's program can meet.

DeviceError
├── NodeUnreachable      the node could not be reached, or refused the connection, or did not take a message
├── NoAnswer             nothing came back in the time the caller gave
├── UnreadableAnswer     what came back is not an outcome
├── DeviceClosed         the device is not open
└── TaskFailed           the node answered, and the answer is an error; one class per error code:
    TopicRefused, PayloadRefused, UnknownTask, ArgumentsRefused, TooLarge, Forbidden, RateLimited,
    Overloaded, Expired, Cancelled, TaskRaised, TimedOut, Unroutable
"""

from typing import ClassVar

from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.errors import WeighbridgeError


class DeviceError(WeighbridgeError):
    """Base of the errors of the client library."""


class NodeUnreachable(DeviceError):
    """Raised when no connection to the node could be made, or its broker refused it, or a message."""


class NoAnswer(DeviceError):
    """Raised when no outcome arrived in time. The node may still run the task.

    `id` is the task's. Submitted again under this id, the task does not run twice: it has one outcome.
    """

    def __init__(self, message: str, *, id: str) -> None:
        super().__init__(message)
        self.id = id


class UnreadableAnswer(DeviceError):
    """Raised when the outcome that the node sent cannot be read: it is not JSON as topics.md says."""


class DeviceClosed(DeviceError):
    """Raised when a device is used outside its `async with` block, or entered a second time."""


class TaskFailed(DeviceError):
    """Raised when a task ended without a value; the base of one class for each error code.

    `code` is for programs, `message` for people; `outcome` has everything.
    """

    answers: ClassVar[ErrorCode]

    def __init__(self, error: TaskError, outcome: Outcome) -> None:
        super().__init__(f"{outcome.task or 'task'} {outcome.id}: {error.code}: {error.message}")
        self.code = error.code
        self.message = error.message
        self.outcome = outcome


class TopicRefused(TaskFailed):
    """Raised when the topic is not as topics.md says (`bad-topic`)."""

    answers = ErrorCode.BAD_TOPIC


class PayloadRefused(TaskFailed):
    """Raised when the payload cannot be read (`bad-payload`)."""

    answers = ErrorCode.BAD_PAYLOAD


class UnknownTask(TaskFailed):
    """Raised when the node offers no task of that name (`unknown-task`)."""

    answers = ErrorCode.UNKNOWN_TASK


class ArgumentsRefused(TaskFailed):
    """Raised when the arguments do not fit the task's parameters (`bad-arguments`)."""

    answers = ErrorCode.BAD_ARGUMENTS


class TooLarge(TaskFailed):
    """Raised when the payload or the value exceeds a limit of the node (`too-large`)."""

    answers = ErrorCode.TOO_LARGE


class Forbidden(TaskFailed):
    """Raised when the task is for users of other roles (`forbidden`)."""

    answers = ErrorCode.FORBIDDEN


class RateLimited(TaskFailed):
    """Raised when the device sends more than it may (`rate-limited`)."""

    answers = ErrorCode.RATE_LIMITED


class Overloaded(TaskFailed):
    """Raised when the node has no room for the task now (`overloaded`)."""

    answers = ErrorCode.OVERLOADED


class Expired(TaskFailed):
    """Raised when the deadline passed before the task was done (`expired`)."""

    answers = ErrorCode.EXPIRED


class Cancelled(TaskFailed):
    """Raised when the task was cancelled (`cancelled`)."""

    answers = ErrorCode.CANCELLED


class TaskRaised(TaskFailed):
    """Raised when the task itself raised an error or died (`failed`)."""

    answers = ErrorCode.FAILED


class TimedOut(TaskFailed):
    """Raised when the task ran longer than it may (`timed-out`)."""

    answers = ErrorCode.TIMED_OUT


class Unroutable(TaskFailed):
    """Raised when no node can run the task (`unroutable`)."""

    answers = ErrorCode.UNROUTABLE


_BY_CODE = {kind.answers: kind for kind in TaskFailed.__subclasses__()}


def failure(outcome: Outcome) -> TaskFailed:
    """Give the error that an outcome without a value stands for.

    Raises UnreadableAnswer for one that has neither a value nor an error.
    """
    if not isinstance(outcome.error, TaskError):
        raise UnreadableAnswer(f"the outcome of {outcome.id} has neither a value nor an error")
    return _BY_CODE[outcome.error.code](outcome.error, outcome)
