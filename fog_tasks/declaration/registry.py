"""The tasks that a node or a worker knows, by name."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fog_tasks.declaration.splitting import steps_of
from fog_tasks.declaration.task import Runnable, Task
from fog_tasks.errors import LoadError


class Registry(Mapping[str, Task[..., Any]]):
    """Tasks by name, and by their short names where these are unique.

    Raises LoadError if two have the same name. If a file is loaded twice, once as a source and once because
    another source imports it, its tasks are still the same tasks.
    """

    def __init__(self, tasks: Iterable[Task[..., Any]]) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        for task in tasks:
            other = self._tasks.setdefault(task.name, task)
            if other is not task and not _loaded_twice(other, task):
                raise LoadError(
                    f"two tasks are named {task.name!r}: one in {other.place}, one in {task.place};"
                    ' give one of them another with @task(name="…")'
                )
        self._named: dict[str, list[Task[..., Any]]] = {}
        for task in self._tasks.values():
            self._named.setdefault(task.short_name, []).append(task)
        self._steps = {step.name: step for task in self._tasks.values() for step in steps_of(task)}

    def replace(self, other: "Registry") -> None:
        """Have the tasks of another registry from now on."""
        vars(self).update(vars(other))

    def named_so(self, name: str) -> list[str]:
        """The tasks that have this short name, which counts only where there is one."""
        return [task.name for task in self._named.get(name, ())]

    def runnable(self, name: str) -> Runnable | None:
        """A task, or a step of one that can be done in parts."""
        return self._tasks.get(name) or self._steps.get(name)

    def runnables(self) -> Iterator[Runnable]:
        """All tasks and steps."""
        yield from self._tasks.values()
        yield from self._steps.values()

    def timeout(self, name: str) -> float:
        """For how many seconds a task may run. A job of an earlier life may be of one that is not known."""
        task = self._tasks.get(name)
        return math.inf if task is None else task.timeout

    def __getitem__(self, name: str) -> Task[..., Any]:
        task = self._tasks.get(name)
        if task is not None:
            return task
        named = self._named.get(name, ())
        if len(named) != 1:
            raise KeyError(name)
        return named[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)


def _loaded_twice(one: Task[..., Any], other: Task[..., Any]) -> bool:
    return one.place == other.place and one.__module__ != other.__module__
