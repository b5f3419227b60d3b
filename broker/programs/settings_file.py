"""The TOML file that settings may stand in: which keys it may have, and what is said of a wrong one."""

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import typer

from broker.contract.url import hide_password
from broker.errors import SettingsError
from broker.security.text_file import read_toml

Mark = TypeVar("Mark")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Marks a setting that is a table of the file; a `repeated` one is a list of tables, `[[name]]`.

    `key` is what the file calls it, if not as the setting: a flag's word, for what that has no room for.
    """

    about: str
    repeated: bool = False
    key: str = ""

    def form(self, name: str) -> str:
        """How its beginning is written in the file."""
        name = self.key or name
        return f"[[{name}]]" if self.repeated else f"[{name}]"

    def takes(self, content: Any) -> bool:
        """Whether a content is of its form."""
        if self.repeated:
            return isinstance(content, list) and all(isinstance(one, dict) for one in content)
        return isinstance(content, dict)


@dataclasses.dataclass(frozen=True, slots=True)
class InFile:
    """What the file says in a table, or in a list of them: nothing, unless told; `file` is for people."""

    content: Any = ()
    file: str = ""


class FileFault(typer.BadParameter):
    """Raised when the file has a fault: the sentence names file and key, and no flag."""

    def format_message(self) -> str:
        return self.message


def read_file(path: Path, settings: type[Any], beside: type[Any]) -> dict[str, Any]:
    """Read a TOML file of `settings`, in which those of `beside` may stand too, and are left out.

    Raises FileFault naming the key that is not known.
    """
    try:
        found = read_toml(path)
    except SettingsError as fault:
        raise FileFault(f"{path}: {fault}") from fault
    found = {key.replace("-", "_"): value for key, value in found.items()}
    flags, known_tables = options(settings), tables(settings)
    known = _keys({**_marked(beside, object), **flags, **known_tables})
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f", {near[0]!r} may be meant" if near else f"; the keys are {', '.join(sorted(known))}"
            raise FileFault(f"{path}: key {key!r} is unknown{hint}")
    values = {_setting_of(key, value, beside): value for key, value in found.items()}
    for key, value in values.items():
        if key in known_tables and not known_tables[key].takes(value):
            form = known_tables[key].form(key)
            raise FileFault(f"{path}: key {key!r} is a table; write {form} above its keys")
    return {
        key: from_folder(path.parent, value, flags[key].metavar) if key in flags else InFile(value, str(path))
        for key, value in values.items()
        if key in flags or key in known_tables
    }


def _keys(marks: dict[str, Any]) -> set[str]:
    """What settings with these marks are called in a file."""
    return {mark.key or name if isinstance(mark, Table) else name for name, mark in marks.items()}


def check_values(context: typer.Context, path: Path, values: dict[str, Any]) -> None:
    """Raises FileFault where what the file says is no value for its key."""
    for option in context.command.params:
        value = values.get(option.name or "")
        if value is None:
            continue
        try:
            if option.multiple and not isinstance(value, list):
                raise typer.BadParameter("this is a list; put it in brackets, [ ]")
            option.process_value(context, value)
        except typer.BadParameter as fault:
            shown = hide_password(json.dumps(value, ensure_ascii=False, default=str))
            raise FileFault(f"{path}: {option.name} = {shown}: {fault.message}") from fault


def _setting_of(key: str, value: Any, settings: type[Any]) -> str:
    """The setting that a key of the file means: of a word that is a flag and a table, what the value is."""
    named = (name for name, table in tables(settings).items() if table.key == key and table.takes(value))
    return next(named, key)


def from_folder(folder: Path, value: Any, kind: str | None) -> Any:
    """A setting as it stands in a file in `folder`: paths count from there. `kind` is its flag's metavar."""
    if isinstance(value, list):
        return [from_folder(folder, one, kind) for one in value]
    is_file = kind in {"FILE", "DIR"} or (kind == "FILE|MODULE" and is_path(str(value)))
    return str(folder / value) if is_file and isinstance(value, str) else value


def is_path(source: str) -> bool:
    """Whether what may be a file or a module is a file."""
    return source.endswith(".py") or "/" in source


def options(settings: type[Any]) -> dict[str, Any]:
    """The typer option of each field that has a flag."""
    return _marked(settings, typer.models.OptionInfo)


def tables(settings: type[Any]) -> dict[str, Table]:
    """The settings that are tables of the file."""
    return _marked(settings, Table)


def written(settings: type[Any], name: str) -> str:
    """How people write a setting: its flag, or the beginning of its table in the file."""
    table = tables(settings).get(name)
    return f"--{name.replace('_', '-')}" if table is None else table.form(name)


def _marked(settings: type[Any], kind: type[Mark]) -> dict[str, Mark]:
    """What each field is annotated with, where it is of this kind."""
    hints = get_type_hints(settings, include_extras=True)
    marks = {field.name: hints[field.name].__metadata__[0] for field in dataclasses.fields(settings)}
    return {name: mark for name, mark in marks.items() if isinstance(mark, kind)}
