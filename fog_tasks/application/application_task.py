"""Tasks of a Celery application as a node knows them: checked here, run there."""

import datetime as dt
import decimal
import functools
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

import celery
import msgspec

from broker.contract.messages import CatalogEntry
from broker.contract.topics import Weight
from broker.contract.values import plain
from fog_tasks.application.settings import TaskTable
from fog_tasks.declaration.celery_task import readable
from fog_tasks.declaration.task import Task

WEIGHT = Weight.MEDIUM
"""The weight of a task whose table says none. Whatever it is, the task runs at its application's workers."""

_CARRIED = (bytes, dt.datetime, dt.date, dt.time, decimal.Decimal, uuid.UUID)
"""What Celery's serializers carry beside what JSON has: a function that is annotated so gets it from whoever
calls it by Celery."""


class ApplicationTask(Task[..., Any]):
    """A task that the workers of its own application run, under the name `celery_name` there.

    `table` may give it seconds, `limit`, that are sent with it; without them the `limit` of the application's
    own holds. With `terminate` a cancelled task is ended where it runs.
    """

    def __init__(
        self,
        name: str,
        table: TaskTable,
        *,
        run: Callable[..., Any] | None = None,
        limit: float | None = None,
    ) -> None:
        super().__init__(
            _unknown if run is None else _stand_in(run),
            name=table.name or name,
            short_name=name.rpartition(".")[2] if table.name is None else table.name,
            weight=table.weight or WEIGHT,
            timeout=table.timeout or limit,
            roles=table.roles,
        )
        self.celery_name = name
        self.limit = table.timeout
        self.terminate = table.terminate
        self.known = run is not None
        self._has_limit = table.timeout is not None or limit is not None

    def catalog_entry(self) -> CatalogEntry:
        entry = super().catalog_entry()
        return entry if self._has_limit else msgspec.structs.replace(entry, timeout_s=None)

    def to_send(self, payload: bytes) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in a payload, as a Celery client gives them. Raises BadPayload and BadArguments."""
        if self.raw or not self.known:
            arguments, named = self.read(payload)
            return list(arguments), named
        converted = self._binder.bind(*self.read(payload))
        arguments_and_named: tuple[list[Any], dict[str, Any]] = msgspec.to_builtins(
            converted, builtin_types=_CARRIED, enc_hook=plain
        )
        return arguments_and_named


def _stand_in(run: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the parameters of `run`, by which arguments are checked."""

    @functools.wraps(run)
    def stand_in(*_arguments: Any, **_named: Any) -> NoReturn:
        raise AssertionError("the application's own workers run it")

    stand_in.__annotations__ = readable(run)
    return stand_in


def _unknown(*_arguments: Any, **_named: Any) -> NoReturn:
    """A task of a Celery application, of which only the name is known here."""
    raise AssertionError("the application's own workers run it")


def tasks_in(app: celery.Celery) -> dict[str, Any]:
    """The tasks of an application by their names, but for Celery's own."""
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
