"""What a module imports, and where that is found; nothing is imported for it."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

PACKAGE = "__init__.py"


@dataclass(frozen=True, slots=True)
class Import:
    """`import module`, or `from module import names`."""

    module: str
    names: tuple[str, ...] = ()

    @property
    def top(self) -> str:
        """The first part of the module's name, which is what Python looks for in its folders."""
        return self.module.partition(".")[0]

    def possible(self) -> Iterator[str]:
        """Every module that this may import, packages first; one of `names` may be a module, too."""
        parts = self.module.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        yield from (f"{self.module}.{name}" for name in self.names)


def imports_of(text: bytes, package: str) -> Iterator[Import]:
    """The imports in the text of a module of `package`, inside of functions too."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return  # whoever runs it is told
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=modules):
                yield from (Import(one.name) for one in modules)
            case ast.ImportFrom(module=module, names=names, level=level):
                parents = package.split(".")[: len(package.split(".")) + 1 - level] if level else []
                name = ".".join(filter(None, (*parents, module)))
                if name:
                    yield Import(name, tuple(one.name for one in names))


def file_in(folder: Path, module: str) -> Path | None:
    """The file in which a folder has a module."""
    base = folder.joinpath(*module.split("."))
    return next(
        (path for path in (base / PACKAGE, base.with_name(f"{base.name}.py")) if path.is_file()), None
    )


def file_of(top: str) -> Path | None:
    """The file that Python has for a module, loaded or not; None if it is built in or not there.

    A folder without `__init__.py` counts as if it had one.
    """
    loaded = sys.modules.get(top)
    spec = PathFinder.find_spec(top) if loaded is None else getattr(loaded, "__spec__", None)
    if not isinstance(spec, ModuleSpec):
        return None
    if spec.origin is not None and spec.has_location:
        return Path(spec.origin).absolute()
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]).absolute() / PACKAGE if folders else None


def home_of(file: Path) -> Path:
    """The folder in which Python found a module that is in a file, or a package of that file."""
    return file.parent.parent if file.name == PACKAGE else file.parent
