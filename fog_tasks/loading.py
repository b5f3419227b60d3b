"""Loads tasks from the files and modules that a node's users name."""

import contextlib
import contextvars
import importlib
import importlib.util
import itertools
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import structlog

from broker.errors import WeighbridgeError
from fog_tasks import builtin
from fog_tasks.application.finding import application_tasks
from fog_tasks.application.settings import Application
from fog_tasks.declaration.celery_task import CeleryTask, as_task, forget_replaced
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task
from fog_tasks.errors import LoadError
from fog_tasks.imports import file_in
from fog_tasks.task_files import TaskFiles

log = structlog.get_logger()

TELL_INTERVAL = 5.0
"""Seconds between two lines about an import that takes long: torch needs a minute on a small computer."""

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def load(
    sources: Sequence[str], files: TaskFiles | None = None, application: Application | None = None
) -> Registry:
    """Load the built-in tasks and those of each source: a path to a `.py` file, or a module's name.

    The tasks of a Celery application are only learned: its own workers run them.

    Each file's folder and the current one are added to the end of `sys.path`, so that the user's modules find
    each other. `files` are then as they were read, also for later imports of this program. Raises LoadError.
    """
    paths = [Path(source).resolve() for source in sources if _is_path(source)]
    folders = [*dict.fromkeys(path.parent for path in paths), Path.cwd()]
    find_beside(*folders)
    with contextlib.ExitStack() as stack:
        if files is None:
            files = TaskFiles()
            stack.callback(files.uninstall)
        # Celery warns of it where a task is imported anew. Two tasks of one name are refused by the registry.
        warnings.filterwarnings("ignore", message="Task name .* is already registered")
        modules = [source for source in sources if not _is_path(source)]
        files.install(folders, [*modules, *([] if application is None else application.modules)])
        stack.enter_context(files.watching())
        tasks = [*_tasks_of(builtin)]
        # First: Celery gives an application the tasks of all others that have been imported by then.
        if application is not None:
            with _told(application.place):
                tasks += application_tasks(application)
        for source in dict.fromkeys(sources):
            tasks += _load_source(source, files)
    return Registry(tasks)


def _is_path(source: str) -> bool:
    # As broker/programs/settings_file.py has it, which loads what a worker does not need.
    return source.endswith(".py") or "/" in source


def _load_source(source: str, files: TaskFiles) -> list[Task[..., Any]]:
    try:
        with _told(source):
            module = _load_file(source, files) if _is_path(source) else importlib.import_module(source)
            forget_replaced()
            tasks = [*_tasks_of(module)]
    except WeighbridgeError as fault:
        raise LoadError(f"--tasks {source}: {fault}{_place(fault)}") from fault
    except (Exception, SystemExit) as fault:
        hidden = "".join(f"; {one}" for one in files.hidden)
        raise LoadError(
            f"--tasks {source} cannot be loaded: {type(fault).__name__}: {fault}{_place(fault)}{hidden}"
        ) from fault
    if not tasks:
        beside = None if _is_path(source) else file_in(Path.cwd(), source)
        other = f"; it is {module.__file__}, for the other write --tasks {beside}" if beside else ""
        raise LoadError(
            f"--tasks {source} has no tasks: put @task above the functions that are to be tasks{other}"
        )
    return tasks


def _load_file(source: str, files: TaskFiles) -> ModuleType:
    spec = files.source(source)
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


@contextlib.contextmanager
def _told(source: str) -> Iterator[None]:
    """Meanwhile, log every few seconds that the source is still being imported, and at which line."""
    importer, done, began = threading.get_ident(), threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(TELL_INTERVAL):
            frame = sys._current_frames()[importer]  # noqa: SLF001 - the library documents it
            stack = traceback.extract_stack(frame)
            imports = itertools.dropwhile(lambda frame: frame.filename != __file__, stack)
            log.info("tasks_loading", tasks=source, at=_own(imports), for_s=round(time.monotonic() - began))

    # The name of this program, for the log, is in the context.
    teller = threading.Thread(target=contextvars.copy_context().run, args=(tell,), daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def find_beside(*folders: Path) -> None:
    """Let imports find the modules in some folders, after all others."""
    sys.path += [str(folder) for folder in folders if str(folder) not in sys.path]


def _tasks_of(module: ModuleType) -> Iterator[Task[..., Any]]:
    """The tasks that a module has, its own and imported ones."""
    for value in vars(module).values():
        if isinstance(value, Task):
            yield value
        elif isinstance(value, CeleryTask):
            yield as_task(value)


def _place(fault: BaseException) -> str:
    """Where the user's own code failed: its last line before this package or a library was called."""
    if isinstance(fault, SyntaxError):
        return ""  # it says so itself
    place = _own(traceback.extract_tb(fault.__traceback__))
    return f" ({place})" if place else ""


def _own(stack: Iterable[traceback.FrameSummary]) -> str:
    """The last line of the user's own in a stack; else the first of a library that the user has named."""
    here = str(Path(__file__).parent)
    frames = [
        frame
        for frame in stack
        if not frame.filename.startswith((here, "<frozen importlib"))
        and not frame.filename.startswith(f"{importlib.__path__[0]}/")
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames[:1]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else ""
