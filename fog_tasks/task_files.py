"""The user's own modules: the files that `--tasks` names, and what these import from their folders."""

import contextlib
import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import structlog

from fog_tasks.errors import LoadError
from fog_tasks.imports import PACKAGE, Import, file_in, file_of, home_of, imports_of
from fog_tasks.shared import SharedWatch

log = structlog.get_logger()

OURS = frozenset({"broker", "cloud_node", "device_sim", "fog_node", "fog_tasks", "weighbridge"})

SOURCE = "weighbridge_user_"
"""What the names of modules begin with that `--tasks` gives as files."""

Importing = Callable[[str], AbstractContextManager[None]]
"""Called with the path of a module while that is imported."""


class TaskFile(msgspec.Struct, frozen=True):
    """One module of the user's own, as it was read."""

    path: str
    text: bytes


class Snapshot(msgspec.Struct):
    """The modules of the user's own by name, and the names of those that `--tasks` gives as files."""

    files: dict[str, TaskFile] = {}
    sources: dict[str, str] = {}


class TaskFiles(MetaPathFinder):
    """Reads the user's own modules once, and gives them to Python's imports from then on.

    A program that is given the `snapshot` of another has what that has read, whatever is on the disk by now.

    A module is the user's own if it is in a folder of a task file, in the current folder, or in a package
    that `--tasks` names. What one imports is read with it, even where the import stands in a function.
    Libraries come first: a user's celery.py does not replace Celery. A module whose name Python would mix up
    with another one's is refused with LoadError; with a library's, it is logged and noted in `hidden`.
    """

    def __init__(self, snapshot: Path | None = None, *, watches: bool = True) -> None:
        """Raises LoadError if the snapshot cannot be read.

        Without `watches` nobody is warned of what modules open when they are imported.
        """
        self._watches = watches and snapshot is None
        self._snapshot = Snapshot() if snapshot is None else _read_snapshot(snapshot)
        self._files = self._snapshot.files
        self._folders: list[Path] = []
        self._packages: set[str] = set()
        self._homes: dict[str, Path | None] = {}
        self._watch: SharedWatch | None = None
        self.hidden: list[str] = []

    def install(self, folders: Iterable[Path], modules: Iterable[str]) -> None:
        """Let imports find the user's own modules in these folders, and in the packages of these modules."""
        self._folders += folders
        self._packages.update(module.partition(".")[0] for module in modules)
        # After what is built into Python.
        sys.meta_path.insert(sys.meta_path.index(PathFinder), self)

    def uninstall(self) -> None:
        """Undo `install`."""
        sys.meta_path.remove(self)

    @contextlib.contextmanager
    def replaced_by(self, later: "TaskFiles") -> Iterator[None]:
        """Meanwhile, and from then on, import the user's own modules anew, as `later` reads them.

        If the context ends with an exception, they are again what they were.
        """
        place = sys.meta_path.index(self)
        before = self._forget_modules()
        sys.meta_path.remove(self)
        # What is new in a folder is to be seen.
        importlib.invalidate_caches()
        try:
            yield
        except BaseException:
            later._forget_modules()  # noqa: SLF001  # of this very class
            with contextlib.suppress(ValueError):
                later.uninstall()
            sys.modules.update(before)
            sys.meta_path.insert(place, self)
            raise

    def _forget_modules(self) -> dict[str, ModuleType]:
        """Have what was read imported anew when it is imported next; return the modules that there are."""
        return {name: sys.modules.pop(name) for name in self._files if name in sys.modules}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Meanwhile, warn of modules that open at import what the processes of a worker would share.

        Whoever made the snapshot has done so.
        """
        self._watch = SharedWatch() if self._watches else None
        try:
            yield
        finally:
            self._watch = None

    def _importing(self, path: str) -> AbstractContextManager[None]:
        return contextlib.nullcontext() if self._watch is None else self._watch.importing(path)

    def source(self, source: str) -> ModuleSpec:
        """The module of a file that `--tasks` names; it is read, with what it imports. Raises LoadError."""
        if source not in self._snapshot.sources:
            path = Path(source).resolve()
            if path.is_dir():
                raise LoadError("this is a folder; name a file in it, or a module without a slash")
            if not path.is_file():
                raise LoadError("there is no such file")
            if path.suffix != ".py":
                raise LoadError("this is not a Python file")
            # A name of its own: two folders may each have a tasks.py, and a celery.py must not replace that.
            name = f"{SOURCE}{path.stem}_{zlib.crc32(bytes(path)):08x}"
            self._snapshot.sources[source] = name
            self._read(name, path, path.parent)
        return self._spec(self._snapshot.sources[source])

    def save(self, snapshot: Path) -> None:
        """Write what has been read, for other programs. Raises OSError."""
        # It may hold secrets of the user's.
        snapshot.touch(mode=0o600)
        snapshot.write_bytes(msgspec.msgpack.encode(self._snapshot))

    def read(self) -> Iterator[tuple[str, TaskFile]]:
        """What has been read, with each module's name; a file that `--tasks` gives has its own."""
        sources = set(self._snapshot.sources.values())
        for name, file in self._files.items():
            yield Path(file.path).name if name in sources else name, file

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """What Python asks at an import; None leaves it to Python."""
        return self._spec(fullname) if self._find(fullname) else None

    def _spec(self, name: str) -> ModuleSpec:
        path = self._files[name].path
        folders = [str(Path(path).parent)] if Path(path).name == PACKAGE else None
        spec = spec_from_file_location(
            name,
            path,
            loader=_Loader(name, self._files[name], self._importing),
            submodule_search_locations=folders,
        )
        assert spec is not None
        return spec

    def _find(self, name: str) -> bool:
        """Whether a module is the user's own; then it has been read."""
        found = self._located(name)
        if found is not None:
            self._read(*found)
        return name in self._files

    def _located(self, name: str) -> tuple[str, Path, Path] | None:
        """Where a module of the user's own is that is still to be read: its file, and its home."""
        home = None if name in self._files else self._home(name.partition(".")[0])
        path = None if home is None else file_in(home, name)
        return None if home is None or path is None else (name, path, home)

    def _home(self, top: str) -> Path | None:
        """The folder that has a module of the user's own; None for any other module."""
        if top not in self._homes:
            file = None if top in OURS else file_of(top)
            home = None if file is None else home_of(file)
            own = home is not None and (home.resolve() in self._folders or top in self._packages)
            self._homes[top] = home if own else None
        return self._homes[top]

    def _read(self, name: str, path: Path, home: Path) -> None:
        """Read a module and all that it imports of the user's own."""
        unread = [(name, path, home)]
        for module, file, folder in unread:  # which grows meanwhile
            if module not in self._files:
                text = file.read_bytes()
                self._files[module] = TaskFile(str(file), text)
                for one in imports_of(text, module if file.name == PACKAGE else module.rpartition(".")[0]):
                    self._check(one, file, folder)
                    unread += filter(None, map(self._located, one.possible()))

    def _check(self, one: Import, importer: Path, home: Path) -> None:
        """See that an import gives the module beside the importer, if there is one."""
        beside, used = file_in(home, one.top), file_of(one.top)
        if beside is None or any(_same(beside, other) for other in (importer, used)):
            return
        if one.top in OURS:
            if not _is_ours(one, beside):
                raise LoadError(
                    f"{importer} imports {one.top!r}, but that is a package of Weighbridge and not {beside};"
                    " give this file another name"
                )
        elif used is not None and self._home(one.top) is not None:
            raise LoadError(
                f"{importer} imports {one.top!r}, but that is {used} and not {beside}: one program can have"
                " one module of a name; give one of the files another name"
            )
        else:
            library = used or "Python's own"
            self.hidden.append(f"{one.top!r} is {library} and not {beside}")
            log.warning(
                "module_hidden", module=one.top, file=str(beside), by=str(library), imported_by=str(importer)
            )


class _Loader(SourceFileLoader):
    """Loads a module as it was read, whatever its file has become since."""

    def __init__(self, name: str, file: TaskFile, importing: Importing) -> None:
        super().__init__(name, file.path)
        self._text = file.text
        self._importing = importing

    def exec_module(self, module: ModuleType) -> None:
        with self._importing(self.path):
            super().exec_module(module)

    def get_data(self, path: str) -> bytes:
        return self._text if path == self.path else super().get_data(path)

    def path_stats(self, _: str) -> Mapping[str, float]:
        # What Python caches beside a file is known by second and size: it may be of another version.
        raise OSError("the text is given, and not to be looked for")


def _read_snapshot(path: Path) -> Snapshot:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError) as fault:
        raise LoadError(f"what the node has read of the task files is not in {path}: {fault}") from fault


def text_of(path: str) -> bytes | None:
    """What a file holds now; None if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _same(file: Path, other: Path | None) -> bool:
    return other is not None and other.exists() and file.samefile(other)


def _is_ours(one: Import, beside: Path) -> bool:
    """Whether an import can only mean our own package, and not the user's module of that name."""
    if "." in one.module:
        return beside.name != PACKAGE
    return bool(one.names) and set(one.names) <= set(dir(sys.modules.get(one.top)))
