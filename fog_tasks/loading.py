"""Loads tasks from the files and modules that a node's users name."""

import importlib
import importlib.util
import sys
import sysconfig
import traceback
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from broker.errors import WeighbridgeError
from fog_tasks import builtin
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import Task
from fog_tasks.errors import LoadError

_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def load(sources: Sequence[str]) -> Registry:
    """Load the built-in tasks and those of each source: a path to a `.py` file, or a module's name.

    The current folder and each file's folder are added to the end of `sys.path`, so that the user's modules
    find each other. Raises LoadError.
    """
    find_beside(Path.cwd())
    modules = [builtin, *map(_load_module, sources)]
    return Registry(task for module in modules for task in _tasks_of(module))


def _load_module(source: str) -> ModuleType:
    try:
        if source.endswith(".py") or "/" in source:
            module = _load_file(Path(source))
        else:
            module = importlib.import_module(source)
    except WeighbridgeError as fault:
        raise LoadError(f"--tasks {source}: {fault}{_place(fault)}") from fault
    except (Exception, SystemExit) as fault:
        raise LoadError(
            f"--tasks {source} cannot be loaded: {type(fault).__name__}: {fault}{_place(fault)}"
        ) from fault
    if not any(_tasks_of(module)):
        raise LoadError(f"--tasks {source} has no tasks: put @task above the functions that are to be tasks")
    return module


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError("there is no such file")
    path = path.resolve()
    # A name of its own: two folders may each have a tasks.py, and a celery.py must not replace the library.
    name = f"weighbridge_user_{path.stem}_{zlib.crc32(bytes(path)):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError("this is not a Python file")
    find_beside(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def find_beside(folder: Path) -> None:
    """Let imports find the modules in a folder, after all others."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _tasks_of(module: ModuleType) -> Iterator[Task[..., Any]]:
    """The tasks that a module has, its own and imported ones."""
    return (value for value in vars(module).values() if isinstance(value, Task))


def _place(fault: BaseException) -> str:
    """Where the user's own code failed: its last line before this package or a library was called."""
    if isinstance(fault, SyntaxError):
        return ""  # it says so itself
    here = str(Path(__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(fault.__traceback__)
        if not frame.filename.startswith((here, "<frozen importlib"))
        and not frame.filename.startswith(f"{importlib.__path__[0]}/")
    ]
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)] or frames[:1]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
