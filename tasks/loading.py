"""Loads tasks from the files and modules that a node's users name."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from broker.errors import WeighbridgeError
from tasks import builtin
from tasks.errors import LoadError
from tasks.registry import Registry
from tasks.task import Task


def load(sources: Sequence[str]) -> Registry:
    """Load the built-in tasks and those of each source: a path to a `.py` file, or a module's name.

    A file's folder is added to the end of `sys.path`, so that it finds the modules beside it. Raises
    LoadError.
    """
    modules = [builtin, *map(_load_module, sources)]
    return Registry(task for module in modules for task in _tasks_of(module))


def _load_module(source: str) -> ModuleType:
    try:
        module = _load_file(Path(source)) if source.endswith(".py") or "/" in source else _import(source)
    except WeighbridgeError as fault:
        raise LoadError(f"--tasks {source}: {fault}") from fault
    except (Exception, SystemExit) as fault:
        place = _last_place(fault)
        raise LoadError(
            f"--tasks {source} cannot be loaded: {type(fault).__name__}: {fault}{place}"
        ) from fault
    if not any(_tasks_of(module)):
        raise LoadError(f"--tasks {source} has no tasks: put @task above the functions that are to be tasks")
    return module


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError("there is no such file")
    # A name of its own, since a user's tasks.py is not to stand in for this package.
    name = f"weighbridge_user_{path.resolve().stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise LoadError("this is not a Python file")
    _find_beside(path.resolve().parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import(name: str) -> ModuleType:
    _find_beside(Path.cwd())
    return importlib.import_module(name)


def _find_beside(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _tasks_of(module: ModuleType) -> Iterator[Task[..., Any]]:
    """The tasks that a module defines or imports."""
    return (value for value in vars(module).values() if isinstance(value, Task))


def _last_place(fault: BaseException) -> str:
    if isinstance(fault, SyntaxError):
        return ""
    frames = traceback.extract_tb(fault.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
