"""Reads again, while a node runs, what its user may have changed since it was started."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import NoReturn

import msgspec
import structlog

from broker.contract.engine import Known
from broker.errors import WeighbridgeError
from broker.programs.settings_file import written
from fog_node.assembly import Parts, device_limits
from fog_node.engines import filters
from fog_node.errors import RedisAway, StartError
from fog_node.infrastructure.crews import Crew, Crews
from fog_node.infrastructure.door import door_snapshot
from fog_node.infrastructure.services import save_snapshot
from fog_node.inspection.control import STAYS, Reloaded
from fog_node.rule_loading import load_rules
from fog_node.rules.rulebook import Rulebook
from fog_node.settings import NodeSettings
from fog_node.topology import Topology
from fog_tasks.declaration.registry import Registry
from fog_tasks.loading import load
from fog_tasks.task_files import TaskFiles
from fog_tasks.versions import digests

log = structlog.get_logger()

AT_ONCE = frozenset(
    (
        *("tasks", "workers", "task_memory", "task_cpu", "start_timeout", "drain", "remember"),
        *("rules", "rule", "max_backlog", "max_rate", "max_burst", "max_open_per_device"),
    )
)
"""The settings that a reload changes. The others are of what was opened or made when the node was started."""

OF_WORKERS = frozenset(("tasks", "workers", "task_memory", "task_cpu"))
"""The settings that workers are started with."""


@dataclass(frozen=True, slots=True)
class Work:
    """What its user has given a node to do: tasks, the files that they are in, and rules that start them."""

    files: TaskFiles
    registry: Registry
    rulebook: Rulebook


@dataclass(frozen=True, slots=True)
class _Ready:
    """What has been read and started, and is to take the place of what there is.

    Without a `crew` the one on duty has all that it runs already.
    """

    settings: NodeSettings
    work: Work
    crew: Crew | None


class Reloading:
    """Has a node use its settings and tasks as they are now, without an end to what runs.

    Where workers would run something else, a new crew of them starts beside the one on duty, and takes its
    place when it is up. Whatever fails before that leaves tasks, rules and settings as they were. `settings`
    are those in force. Users and certificates are used as soon as they can be read, whatever else is wrong.
    """

    def __init__(
        self,
        settings: NodeSettings,
        topology: Topology,
        read_settings: Callable[[], NodeSettings],
        *,
        work: Work,
        parts: Parts,
        crews: Crews,
    ) -> None:
        self.settings = settings
        self._topology = topology
        self._read_settings = read_settings
        self._files, self._registry, self._rulebook = work.files, work.registry, work.rulebook
        self._parts = parts
        self._crews = crews
        self._lock = asyncio.Lock()
        self._preparing: asyncio.Task[_Ready] | None = None
        self._closed = False
        self._known: Known = {}

    async def run(self, told: asyncio.Event) -> NoReturn:
        """Reload each time that the event is set, until cancelled. Begins when the engine has started."""
        self._known = self._known_now()
        while True:
            await told.wait()
            told.clear()
            await self.reload()

    async def reload(self, *, new_workers: bool = False) -> Reloaded:
        """Read everything again; tells what has changed since the last time, or why nothing could."""
        async with self._lock:
            try:
                found = await self._reload(new_workers=new_workers)
            except WeighbridgeError as fault:
                log.error("reload_failed", reason=str(fault), next_step=STAYS)
                found = Reloaded(fault=str(fault))
            except Exception as fault:  # a node does not end because it was told to reload
                log.exception("reload_failed", next_step=STAYS)
                found = Reloaded(fault=repr(fault))
            before, self._known = self._known, self._known_now()
            found = msgspec.structs.replace(
                found, changes=[*found.changes, *_changed_access(before, self._known)]
            )
        if not found.fault:
            log.info("reloaded", changes=found.changes, only_at_start=found.only_at_start)
        return found

    async def close(self) -> None:
        """Reload no more; one that has not come to its end is given up, or ended."""
        self._closed = True
        if self._preparing is not None:
            self._preparing.cancel()
        async with self._lock:
            pass

    def _known_now(self) -> Known:
        return {kind: dict(one) for kind, one in self._parts.engine.known().items()}

    async def _reload(self, *, new_workers: bool) -> Reloaded:
        if self._closed:
            raise StartError("the node is stopping")
        given, before = self._read_settings(), self.settings
        # These are used at once when their files change. Here somebody waits for the answer.
        self._parts.engine.reread()
        settings = replace(before, **{key: getattr(given, key) for key in AT_ONCE})
        files = TaskFiles(watches=False)
        with self._files.replaced_by(files):
            self._preparing = asyncio.create_task(
                self._prepare(settings, files, new_workers=new_workers), name="reload"
            )
            try:
                ready = await self._preparing
            except asyncio.CancelledError:
                if self._closed:
                    raise StartError("the node is stopping") from None
                raise
        changes = [*_changed_settings(before, settings), *self._changed_work(ready.work)]
        if new_workers:
            changes.append("the workers are new")
        of_others = digests(self._files) != digests(files)
        await self._change_over(ready)
        if of_others and self._parts.door is not None:
            self._parts.door.start_anew()
        later = sorted(written(type(given), key) for key in _differing(before, given) - AT_ONCE)
        return Reloaded(changes=changes, only_at_start=later)

    async def _prepare(self, settings: NodeSettings, files: TaskFiles, *, new_workers: bool) -> _Ready:
        """Load the tasks, here and, where they are others or it is wanted so, in a crew that waits."""
        # In a thread: the user's modules may take a minute to import.
        registry = await asyncio.to_thread(load, settings.tasks, files, settings.application())
        rulebook = load_rules(settings, registry)
        work = Work(files, registry, rulebook)
        if not (new_workers or self._workers_differ(settings, work)):
            return _Ready(settings, work, None)
        crew = self._crews.start(settings, files)
        try:
            async with asyncio.timeout(settings.start_timeout or None):
                await self._crews.up(crew)
        except BaseException as fault:
            await self._crews.drop(crew)
            if isinstance(fault, TimeoutError):
                raise StartError(
                    f"the new workers did not answer within {settings.start_timeout:g} s: the log says what"
                    " they wait for; --start-timeout gives them more time"
                ) from fault
            raise
        return _Ready(settings, work, crew)

    def _workers_differ(self, settings: NodeSettings, work: Work) -> bool:
        """Whether workers that are started now would be others than those on duty."""
        return (
            bool(_differing(self.settings, settings) & OF_WORKERS)
            or digests(self._files) != digests(work.files)
            or self._registry.keys() != work.registry.keys()
        )

    async def _change_over(self, ready: _Ready) -> None:
        """Let the new take the place of the old: between two jobs, for this node and its workers together."""
        executor = self._parts.executor
        executor.hold()
        try:
            if ready.crew is not None:
                await self._crews.relieve()
                # With Redis away there is nothing to take back: what it loses is queued again.
                with contextlib.suppress(RedisAway):
                    await executor.take_back()
            self.settings, self._files = ready.settings, ready.work.files
            self._registry.replace(ready.work.registry)
            self._rulebook.replace(ready.work.rulebook)
            self._parts.versions.replace(ready.work.files)
            stranded = self._parts.pools.configure(ready.settings.workers)
            self._parts.limits.change(**device_limits(ready.settings))
            self._parts.jobs.most = ready.settings.max_backlog
            if ready.crew is not None:
                self._crews.put_on_duty(ready.crew)
        finally:
            executor.go_on()
        for job in stranded:
            self._parts.router.place_anew(job, time.monotonic())
        try:
            await self._tell()
        except Exception:  # all is in force: nobody is to be told that nothing has changed
            log.exception("changes_not_told", next_step="a further reload tells of them")

    async def _tell(self) -> None:
        """Have those know of what has changed who were told of it before."""
        parts, rulebook = self._parts, self._rulebook
        parts.announcer.tell_catalog()
        parts.clockwork.renew()
        parts.home_assistant.follow(rulebook.rules)
        if parts.door is not None:
            save_snapshot(self._files, door_snapshot(self.settings.folder))
        heard = filters(self.settings, self._topology, rulebook)
        await parts.engine.hear(heard, rulebook.retained_filters)

    def _changed_work(self, after: Work) -> Iterator[str]:
        yield from _changed("task", dict.fromkeys(self._registry), dict.fromkeys(after.registry))
        rules, later = ({one.name: one for one in book.rules} for book in (self._rulebook, after.rulebook))
        yield from _changed("rule", rules, later)
        # Which modules there are nobody is told: it follows from the tasks.
        old, new = digests(self._files), digests(after.files)
        yield from _changed("module", old, {name: new.get(name, digest) for name, digest in old.items()})


def _changed(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[str]:
    yield from (f"{what} {name}: new" for name in sorted(after.keys() - before))
    yield from (f"{what} {name}: gone" for name in sorted(before.keys() - after))
    same = sorted(before.keys() & after)
    yield from (f"{what} {name}: changed" for name in same if before[name] != after[name])


def _changed_access(before: Known, after: Known) -> Iterator[str]:
    for kind in after:
        yield from _changed(kind, before.get(kind, {}), after[kind])


def _changed_settings(before: NodeSettings, after: NodeSettings) -> Iterator[str]:
    # Of the rules in the settings file each is told by itself.
    for key in sorted(_differing(before, after) - {"rule"}):
        yield f"{key}: {_shown(getattr(before, key))} → {_shown(getattr(after, key))}"


def _differing(one: NodeSettings, other: NodeSettings) -> set[str]:
    names = (field.name for field in fields(one))
    return {name for name in names if getattr(one, name) != getattr(other, name)}


def _shown(value: object) -> str:
    match value:
        case Mapping():
            return ",".join(f"{key}={item}" for key, item in value.items())
        case list() | tuple():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)
