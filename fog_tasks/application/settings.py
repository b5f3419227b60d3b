"""What is known of an application: the table `[celery]` of the file, and what a node tells its door."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from broker.contract.identity import Role
from broker.contract.topics import Weight
from broker.errors import SettingsError
from broker.programs.logs import LogFormat, LogLevel
from fog_tasks.environment import InEnvironment

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class TaskTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[celery."shop.tasks.resize"]` may say of one task."""

    name: str | None = None
    weight: Weight | None = None
    timeout: Seconds | None = None
    roles: tuple[Role, ...] = ()
    queue: str | None = None
    terminate: bool = False


class ApplicationTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[celery]` may say: where the application is, or where its broker and backend are.

    After `lease` seconds without a word a task is asked for. At most `outstanding` tasks are with the
    application at once; the others wait in the node, the most urgent first.
    """

    app: str | None = None
    broker: str | None = None
    backend: str | None = None
    lease: Seconds = 30.0
    outstanding: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_000


@dataclass(frozen=True, kw_only=True)
class Application:
    """An application and its tasks, as the settings name them."""

    about: ApplicationTable
    tasks: Mapping[str, TaskTable] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """What to call it in a sentence."""
        return f"--celery {self.about.app}" if self.about.app else "[celery]"

    @property
    def modules(self) -> tuple[str, ...]:
        """The module that has the application, if it is to be imported."""
        return () if self.about.app is None else (self.about.app.partition(":")[0],)

    @property
    def queues(self) -> dict[str, str]:
        """The queues that tables name, by the tasks that go there."""
        return {name: one.queue for name, one in self.tasks.items() if one.queue is not None}


_KEYS = ApplicationTable.__struct_fields__


def read_application(app: str | None, table: Mapping[str, Any], file: str) -> Application | None:
    """Read the flag `--celery` and the table `[celery]` of the file; None where there is neither.

    Raises SettingsError.
    """
    if app is None and not table:
        return None
    about = _convert(
        {key: value for key, value in table.items() if key in _KEYS}, ApplicationTable, f"{file}: [celery]"
    )
    if app is not None:
        about = msgspec.structs.replace(about, app=app)
    tasks = {}
    for name, one in _by_full_name({key: one for key, one in table.items() if key not in _KEYS}):
        if not isinstance(one, dict):
            known = ", ".join(_KEYS)
            raise SettingsError(
                f'{file}: [celery] has no key {name!r}; there are {known}, and tables [celery."TASK"]'
            )
        tasks[name] = _convert(one, TaskTable, f'{file}: [celery."{name}"]')
    if about.app is None and (about.broker is None or about.backend is None):
        raise SettingsError(f'{file}: [celery] needs app = "MODULE:APP", or broker and backend, both as URLs')
    if about.app is None and not tasks:
        raise SettingsError(
            f'{file}: [celery] names no tasks: without app, each has a table of its own, [celery."TASK"]'
        )
    return Application(about=about, tasks=tasks)


def _by_full_name(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tables of tasks by their names; of a name without quotes TOML makes tables within tables."""
    for name, one in tables.items():
        if isinstance(one, dict) and one and all(isinstance(inner, dict) for inner in one.values()):
            yield from ((f"{name}.{rest}", inner) for rest, inner in _by_full_name(one))
        else:
            yield name, one


def _convert(value: Any, kind: type[msgspec.Struct], place: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        what, _, path = str(fault).partition(" - at ")
        where = f"key {path.strip('`').removeprefix('$.')!r}: " if path else ""
        known = ", ".join(kind.__struct_fields__)
        raise SettingsError(f"{place}: {where}{what}; the keys are {known}") from fault


@dataclass(frozen=True, kw_only=True)
class DoorSettings(InEnvironment):
    """The settings of a door.

    `socket` is where the node listens. `prefix` is what the identifiers of its tasks begin with; `reply`
    names its queue for results, where the backend needs one. `snapshot` is what the node has read.
    """

    VARIABLE = "FOG_DOOR"

    socket: str
    prefix: str
    reply: str
    app: str | None
    broker: str | None
    backend: str | None
    lease: float
    queues: Mapping[str, str]
    snapshot: str = ""
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
