"""The `@task` decorator, and the `Task` that it makes of a function."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, update_wrapper
from typing import Any, Generic, ParamSpec, Protocol, TypedDict, TypeVar, Unpack, overload

from broker.contract.identity import Role
from broker.contract.messages import CatalogEntry
from broker.contract.submissions import Options, Submission, read_submission
from broker.contract.topics import Weight, level_fault
from fog_tasks.declaration.arguments import Binder
from fog_tasks.declaration.division import Merge, Split, check_division
from fog_tasks.declaration.results import encode_value
from fog_tasks.errors import BadResult, DeclarationError

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")

HARD_LIMIT_GRACE = 1.0
"""Seconds from a task's time limit, which raises inside it, until its process is killed: time to clean up."""

DEFAULT_TIMEOUTS = {Weight.LIGHT: 10.0, Weight.MEDIUM: 60.0, Weight.HEAVY: 600.0}
"""Seconds that a task of each weight may run if its declaration says nothing."""


class TaskOptions(TypedDict, total=False):
    """What `@task(…)` can be given; `Task` says what each option means and what it is by default."""

    name: str | None
    weight: Weight | str
    timeout: float | None
    roles: Sequence[str]
    cpu: float | None
    split: Split | None
    merge: Merge | None
    on: str | Sequence[str]


class Runnable(Protocol):
    """What a worker runs: a task, or a step of one."""

    name: str
    weight: Weight
    timeout: float
    cpu: float | None

    def read(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments in a payload."""

    def run(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes:
        """Run it, and return its value in JSON."""


class Task(Generic[Parameters, Value]):
    """A function that nodes run for devices; called directly it is the function itself.

    `weight` says where it runs if a device submits it as `auto`, and which pool of workers runs it.
    `timeout` is how many seconds it may run, `cpu` how many seconds of processor time it may use (None: any).
    It is run for users with one of the `roles`, for everybody if there are none. `on` are the topics, or the
    moments, that start it by themselves. It is also known by its `short_name` where no other task is.
    """

    def __init__(
        self,
        function: Callable[Parameters, Value],
        *,
        name: str | None = None,
        weight: Weight | str = Weight.LIGHT,
        timeout: float | None = None,
        roles: Sequence[str] = (),
        cpu: float | None = None,
        split: Split | None = None,
        merge: Merge | None = None,
        on: str | Sequence[str] = (),
        short_name: str | None = None,
    ) -> None:
        check_function(function)
        # The function's name, module and signature, for help() and for editors.
        update_wrapper(self, function)
        self.function = function
        self.name = function.__name__ if name is None else name
        fault = level_fault(self.name)
        if fault is not None:
            raise DeclarationError(f"task name {self.name!r} {fault}; it has to be one level of a topic")
        if weight not in tuple(DEFAULT_TIMEOUTS):
            known = ", ".join(DEFAULT_TIMEOUTS)
            raise DeclarationError(f"task {self.name!r}: weight {weight!r} is unknown; it is one of {known}")
        self.weight = Weight(weight)
        self.timeout = DEFAULT_TIMEOUTS[self.weight] if timeout is None else timeout
        if not _is_duration(self.timeout):
            raise DeclarationError(
                f"task {self.name!r}: timeout {timeout!r} is not a positive number of seconds"
            )
        if cpu is not None and not _is_duration(cpu):
            raise DeclarationError(f"task {self.name!r}: cpu {cpu!r} is not a positive number of seconds")
        self.cpu = cpu
        unknown = [role for role in roles if role not in tuple(Role)]
        if unknown or isinstance(roles, str):
            known = ", ".join(Role)
            raise DeclarationError(f"task {self.name!r}: roles {roles!r} is not a tuple of {known}")
        self.roles = frozenset(map(Role, roles))
        check_division(self.name, self.weight, split, merge)
        self.split, self.merge = split, merge
        written: Any = (on,) if isinstance(on, str) else on
        if not isinstance(written, Sequence) or not all(isinstance(one, str) and one for one in written):
            raise DeclarationError(
                f'task {self.name!r}: on {on!r} is not text, nor a tuple of texts: on="tele/{{plug}}/SENSOR"'
            )
        self.on: tuple[str, ...] = tuple(written)
        self.short_name = self.name if short_name is None else short_name
        self.about = (function.__doc__ or "").strip().partition("\n")[0]
        self._binder = Binder(function, self.name)

    def __call__(self, *arguments: Parameters.args, **named: Parameters.kwargs) -> Value:
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    @property
    def raw(self) -> bool:
        """Whether the payload itself is the one argument."""
        return self._binder.raw

    @property
    def place(self) -> str:
        """Where the function is defined, for people."""
        code = inspect.unwrap(self.function).__code__
        return f"{code.co_filename}, line {code.co_firstlineno}"

    def check(self, payload: bytes) -> Submission:
        """Read a payload, and check that the task can be run with it. Raises BadPayload and BadArguments."""
        submission = self._read(payload)
        if not self.raw:
            self._binder.bind(submission.arguments, submission.named)
        return submission

    def read(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments in a payload as JSON has them, for `run`. Raises BadPayload."""
        submission = self._read(payload)
        return submission.arguments, submission.named

    def _read(self, payload: bytes) -> Submission:
        return Submission((payload,), {}, Options()) if self.raw else read_submission(payload)

    def by_name(self, payload: bytes) -> dict[str, Any]:
        """The arguments in a payload by name, converted as the function gets them.

        Raises BadPayload and BadArguments.
        """
        converted, named = self._binder.bind(*self.read(payload))
        return dict(inspect.signature(self.function).bind(*converted, **named).arguments)

    def payload_of(self, by_name: Mapping[str, Any]) -> bytes:
        """The payload with these arguments. Raises BadResult and BadArguments."""
        if not self.raw:
            payload = encode_value(by_name)
            self.check(payload)
            return payload
        values = list(by_name.values())
        if len(values) != 1 or not isinstance(values[0], bytes):
            raise BadResult(f"{self.name} takes one argument, of bytes")
        return values[0]

    def run(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> bytes:
        """Convert the arguments, call the function, and write what it returns as JSON.

        docs/tasks.md says how. Raises BadArguments, BadResult, and whatever the function raises.
        """
        converted, converted_named = self._binder.bind(arguments, named)
        return encode_value(self.function(*converted, **converted_named))

    def catalog_entry(self) -> CatalogEntry:
        """What the catalog says of the task."""
        return CatalogEntry(
            task=self.name,
            weight=self.weight,
            parameters=self._binder.schema(),
            raw=self.raw,
            about=self.about,
            timeout_s=self.timeout,
            splits=self.split is not None,
        )


@overload
def task(function: Callable[Parameters, Value], /) -> Task[Parameters, Value]: ...
@overload
def task(
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[Parameters, Value]], Task[Parameters, Value]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Unpack[TaskOptions]) -> Any:
    """Make a function a task: `@task` alone, or `@task(weight="medium", timeout=20)`.

    Its parameters are checked and converted by their annotations, which can be whatever JSON can be
    converted to: numbers, text, lists, dataclasses, dates, enumerations; without an annotation anything is
    taken. A task whose one required parameter is `bytes` gets the payload as it is; beside other required
    ones, bytes are base64 in JSON. `roles` limits it to users of these roles: `roles=("operator",)`; with
    "node" among them it may also be handed over by other nodes. `cpu` are seconds of processor time.

    A medium task may be done in parts, here and at idle neighbours: `split(arguments, n)` gets the arguments
    by name and returns a list of about n such dictionaries, one for each part, and `merge(results)` makes one
    value of what the parts returned. `on="tele/{plug}/SENSOR"` starts it with each message on such a topic,
    `on="every 60s"` by the clock: a rule of the task's name.

    Raises DeclarationError where the function cannot be a task.
    """
    return partial(Task, **options) if function is None else Task(function, **options)


def check_function(function: Callable[..., Any]) -> None:
    """See that a task can be made of a function. Raises DeclarationError."""
    if not inspect.isfunction(function):
        raise DeclarationError(
            f'{function!r} cannot be a task: put @task or @task(weight="medium") above a plain function'
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            f"task {function.__name__!r} is an async function; a task runs in a process of its own,"
            " where nothing would await it: make it a plain function"
        )
    if inspect.isgeneratorfunction(function):
        raise DeclarationError(
            f"task {function.__name__!r} is a generator; a task returns one value: return a list instead,"
            " and report steps with progress()"
        )


def _is_duration(timeout: object) -> bool:
    return isinstance(timeout, int | float) and math.isfinite(timeout) and timeout > 0
