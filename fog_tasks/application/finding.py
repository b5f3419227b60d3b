"""Finds a Celery application as `celery -A` does, and says what its settings make impossible."""

import contextlib
import difflib
import io
import sys
from collections.abc import Iterator
from typing import Any

import celery
import structlog
from celery.app.utils import find_app
from celery.backends.base import DisabledBackend

from broker.contract.topics import level_fault
from broker.contract.url import hide_password
from fog_tasks.application.application_task import ApplicationTask, tasks_in
from fog_tasks.application.settings import Application, TaskTable
from fog_tasks.declaration.celery_task import forget_replaced, time_limit
from fog_tasks.errors import DeclarationError, LoadError

log = structlog.get_logger()

NO_BACKEND = (
    "has no result backend, so nobody would hear what became of a task; give it one, as"
    ' result_backend="rpc://", or set [celery] backend'
)


def application_tasks(application: Application) -> list[ApplicationTask]:
    """The tasks that an application offers. Raises LoadError where it cannot be used at all."""
    about = application.about
    if about.app is None:
        return [ApplicationTask(name, table) for name, table in application.tasks.items()]
    app = find(about.app, about.broker, about.backend)
    _check(application.place, app)
    return list(_offered(application, app))


def find(spec: str | None, broker: str | None, backend: str | None) -> celery.Celery:
    """The application at `MODULE:APP` with all its tasks, or one that is nothing but broker and backend.

    Raises LoadError.
    """
    if spec is None:
        return celery.Celery("weighbridge-door", broker=broker, backend=backend, set_as_current=False)
    try:
        # It prints where it looks.
        with contextlib.redirect_stderr(io.StringIO()):
            app = find_app(spec)
        if not isinstance(app, celery.Celery):
            raise LoadError(f"--celery {spec}: this is no Celery application; write MODULE:APP")
        app.loader.import_default_modules()
        # Or it would be given those of its tasks that were read before.
        forget_replaced()
        app.finalize()
    except LoadError:
        raise
    except (Exception, SystemExit) as fault:
        raise LoadError(f"--celery {spec}{_why_not(spec, fault)}") from fault
    given = {"broker_url": broker, "result_backend": backend}
    app.conf.update({key: value for key, value in given.items() if value is not None})
    return app


def _why_not(spec: str, fault: BaseException) -> str:
    """What is wrong with `MODULE:APP`, to stand behind it; Celery takes both for the name of a module."""
    module, colon, name = spec.partition(":")
    if colon and module in sys.modules and not hasattr(sys.modules[module], name):
        found = (key for key, one in vars(sys.modules[module]).items() if isinstance(one, celery.Celery))
        return f": the module {module} has no {name!r}; its applications: {', '.join(found) or 'none'}"
    return f" cannot be loaded: {type(fault).__name__}: {fault}"


def learned(app: celery.Celery) -> dict[str, ApplicationTask]:
    """The tasks of an application by Celery's names, for whoever sends them."""
    found = {}
    for name, task in tasks_in(app).items():
        # One that cannot be declared is not offered either.
        with contextlib.suppress(DeclarationError):
            found[name] = ApplicationTask(name, TaskTable(name="any"), run=_run_of(task))
    return found


def _check(place: str, app: celery.Celery) -> None:
    if isinstance(app.backend, DisabledBackend):
        raise LoadError(f"{place}: {app.main or 'the application'} {NO_BACKEND}")
    if app.conf.task_always_eager:
        raise LoadError(f"{place}: task_always_eager is set, and then Celery sends nothing to any worker")
    log.info(
        "celery_application",
        application=place,
        broker=hide_password(app.connection_for_write().as_uri(include_password=False)),
        backend=app.backend.as_uri(include_password=False),
    )


def _offered(application: Application, app: celery.Celery) -> Iterator[ApplicationTask]:
    found = tasks_in(app)
    for name, task in found.items():
        try:
            yield _offer(name, task, application.tasks.get(name, TaskTable()))
        except DeclarationError as fault:
            log.warning("celery_task_left_out", task=name, reason=str(fault))
    for name, table in application.tasks.items():
        if name not in found:
            meant = [f"{one!r} may be meant" for one in difflib.get_close_matches(name, found, n=1)]
            reason = "; ".join(["the application does not know it here", *meant])
            log.warning("celery_task_by_name_only", task=name, reason=reason)
            yield ApplicationTask(name, table)


def _offer(name: str, task: Any, table: TaskTable) -> ApplicationTask:
    if task.ignore_result:
        raise DeclarationError("it has ignore_result, so nobody would hear what became of it")
    fault = level_fault(table.name or name)
    if fault is not None:
        raise DeclarationError(
            f'its name {fault}, and has to be one level of a topic; [celery."{name}"] name = … gives it one'
        )
    return ApplicationTask(name, table, run=_run_of(task), limit=time_limit(task))


def _run_of(task: Any) -> Any:
    # Celery puts its own around a task that retries by itself.
    return getattr(task, "_orig_run", task.run)
