"""Plain Celery tasks, made by `@app.task` or `@shared_task`, as tasks of a node.

Celery's own code runs them, with their application's hooks and signals. What speaks to the application's
broker and backend while a task runs is turned to the node: its states become progress, and a retry, which
only Celery's own workers can give it, a failure that says so.
"""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import celery
import msgspec
from celery import _state, states
from celery.exceptions import Retry
from celery.utils.serialization import get_pickled_exception

from broker.contract.topics import Weight
from fog_tasks.declaration.task import Task, check_function
from fog_tasks.errors import NotRetried
from fog_tasks.progress import percent_in, progress
from fog_tasks.task_files import SOURCE

_MADE = "weighbridge_task"

CeleryTask = celery.Task

WEIGHT = Weight.MEDIUM
"""The weight of a task that says none: most do what a web page must not wait for, seconds of work, and would
be in the way of light tasks."""


def as_task(task: Any) -> Task[..., Any]:
    """Make a Celery task one of a node, under Celery's name. Raises DeclarationError.

    `weight`, `roles`, `cpu` and `on` in `@app.task(…)` are those of `@task`; its time limit is Celery's own.
    The same Celery task again is the same task.
    """
    # What the decorators leave in a module only stands for it.
    task = task.app.tasks[task.name]
    made: Task[..., Any] | None = vars(task).get(_MADE)
    if made is None:
        made = _made_of(task)
        setattr(task, _MADE, made)
    return made


def _made_of(task: Any) -> Task[..., Any]:
    run = getattr(task, "_orig_run", task.run)
    check_function(getattr(run, "__func__", run))
    task.name = _name(task)
    # A call by a signature, or of this very task by another one, finds it by its name.
    task.app.tasks.register(task)
    task.update_state = functools.partial(_tell, task, task.update_state)
    task.retry = _retry
    return Task(
        _function(task),
        name=task.name,
        short_name=task.name.rpartition(".")[2],
        weight=getattr(task, "weight", WEIGHT),
        timeout=time_limit(task),
        roles=getattr(task, "roles", ()),
        cpu=getattr(task, "cpu", None),
        on=getattr(task, "on", ()),
    )


def forget_replaced() -> None:
    """Let no application take the tasks of a module any more that has been imported anew since.

    Celery gives each application those of all modules, and a name to whoever had it first.
    """
    announced: Any = _state
    kept = announced._on_app_finalizers  # noqa: SLF001 - a test fails loudly if it is gone
    kept.difference_update([one for one in kept if _is_replaced(inspect.getclosurevars(one).nonlocals)])


def _is_replaced(announced: Mapping[str, Any]) -> bool:
    function = announced.get("fun")
    module = sys.modules.get(getattr(function, "__module__", ""))
    return inspect.isfunction(function) and (module is None or vars(module) is not function.__globals__)


def readable(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that arguments can be checked by. Celery ignores them all: others are passed over."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  # an annotation is any code of the author's
        return {}
    return {name: hint for name, hint in hints.items() if _is_readable(hint)}


def _is_readable(hint: Any) -> bool:
    try:
        msgspec.json.schema(hint)
    except (AttributeError, NameError, SyntaxError, TypeError, ValueError):
        return False
    return True


def _name(task: Any) -> str:
    """Celery's own name: of a file that `--tasks` names, what `celery -A` gives it beside that file."""
    name, module = str(task.name), str(task.__module__)
    if not module.startswith(SOURCE) or not name.startswith(f"{module}."):
        return name
    return Path(str(sys.modules[module].__file__)).stem + name.removeprefix(module)


def time_limit(task: Any) -> float | None:
    """The seconds that its application lets a task run, if it says so."""
    own, given = (task.soft_time_limit, task.time_limit), task.app.conf
    limits = (*own, given.task_soft_time_limit, given.task_time_limit)
    return next((limit for limit in limits if limit is not None), None)


def _function(task: Any) -> Callable[..., Any]:
    @functools.wraps(task.run)
    def function(*arguments: Any, **named: Any) -> Any:
        with _current(task.app):
            result = task.apply(arguments, named, throw=False)
        fault = result.result
        match result.state, fault:
            case states.SUCCESS, _:
                return fault
            case _, Retry():
                raise _not_retried(fault.exc) from fault.exc
            case _:
                # Celery puts one that cannot be pickled into another.
                raise get_pickled_exception(fault).with_traceback(fault.__traceback__)

    function.__annotations__ = readable(task.run)
    return function


@contextlib.contextmanager
def _current(app: celery.Celery) -> Iterator[None]:
    """Within this context, what a task sends by `delay` goes to its own application, as it does elsewhere."""
    worker = _state.get_current_app()
    app.set_current()
    try:
        yield
    finally:
        worker.set_current()


def _tell(
    task: Any,
    store: Callable[..., None],
    task_id: str | None = None,
    state: str | None = None,
    meta: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    if task_id not in {None, task.request.id}:
        store(task_id, state, meta, **options)
        return
    percent = percent_in(meta)
    if percent is not None:
        progress(percent)


def _retry(*_arguments: Any, exc: Exception | None = None, **_options: Any) -> NoReturn:
    """In place of `self.retry`: Celery hands it through as its own, and runs the task's `on_retry`."""
    raise Retry(exc=exc)


def _not_retried(fault: BaseException | None) -> NotRetried:
    reason = "" if fault is None else f" because of {type(fault).__name__}: {fault}"
    return NotRetried(
        f"it asks Celery for another try{reason}; a node's own workers give it none: let the application's"
        " workers run it, with --celery in place of --tasks"
    )
