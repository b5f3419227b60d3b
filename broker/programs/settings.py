"""How a program gets its settings: each is declared once, as a field of a frozen dataclass.

A field is annotated with its flag (`Annotated[type, typer.Option(help=...)]`). From it follow the
flag `--some-name`, the environment variable `FOG_SOME_NAME` and the key `some_name` of the TOML file
given with `--config`. Flags win over the environment, the environment over the file. Relative paths in the
file count from the file's folder, all others from the current one. A field that is a `typer.Argument` is what
a command is about and no setting: it is typed, and may contain anything.

What no flag could hold is a table, which the file alone may have: `Annotated[InFile, Table(about=...)]`.
"""

import dataclasses
import inspect
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import tomli_w
import typer

from broker.contract.url import hide_password
from broker.errors import SettingsError
from broker.programs.settings_file import check_values, from_folder, options, read_file, tables
from broker.programs.version import program_version

Settings = TypeVar("Settings")
ENVIRONMENT_PREFIX = "FOG_"

_NEVER = {
    "Cc": "control character, as files that were written on Windows have at the ends of lines",
    "Cs": "byte that is no UTF-8",
}
"""Kinds of characters that no value has on purpose, and that no file of settings can hold."""


def _show_version(context: typer.Context, asked: bool) -> None:  # typer calls it so
    if asked:
        typer.echo(f"{context.info_name} {program_version()}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version, and stop.", is_eager=True, callback=_show_version),
]
"""The flag of every program that tells its version."""


def add_command(
    app: typer.Typer,
    settings: type[Settings],
    run: Callable[[Settings], None],
    *,
    name: str | None = None,
    beside: type[Any] | None = None,
) -> None:
    """Make `run` a command of `app` whose flags are the fields of `settings`.

    Without a `name` it is what the program, or a group of its commands, does when no sub-command is named;
    the program has `--version`. `--config FILE` and `--print-config` come with each; the file may also hold
    the settings of `beside`, the program's own, so that one file serves all its commands. A wrong flag,
    variable, key or value ends the program with status 2 and a sentence that names it.
    """

    def callback(context: typer.Context, **given: Any) -> None:
        if context.invoked_subcommand is not None:
            return
        show = given.pop("print_config")
        for flag in ("config", "version"):
            given.pop(flag, None)
        try:
            for key in options(settings):
                _check_characters(key, given[key])
            found = {key: one for key, one in (context.default_map or {}).items() if key in tables(settings)}
            chosen = settings(**{key: _frozen(value) for key, value in given.items()}, **found)
        except SettingsError as fault:
            raise typer.BadParameter(str(fault)) from fault
        if isinstance(context.obj, _Wanted):
            context.obj.settings = chosen
        elif show:
            typer.echo(as_toml(chosen), nl=False)
        else:
            run(chosen)

    callback.__doc__ = run.__doc__
    parameters = [
        _parameter("context", typer.Context),
        *_flags(settings),
        *_config_flags(settings, settings if beside is None else beside),
        *([_parameter("version", Version, default=False)] if name is None and beside is None else []),
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {one.name: one.annotation for one in parameters}
    if name is None:
        app.callback(invoke_without_command=True)(callback)
    else:
        # Or a command whose name is also a setting's would take that for its own settings.
        app.command(name, context_settings={"default_map": {}})(callback)


class _Wanted:
    """Where a command leaves its settings instead of running."""

    settings: Any = None


def read_again(app: typer.Typer) -> Any:
    """The settings that the program's own command would have now: its file may have changed.

    Raises SettingsError.
    """
    command, wanted = typer.main.get_command(app), _Wanted()
    try:
        with command.make_context(sys.argv[0], sys.argv[1:], obj=wanted) as context:
            command.invoke(context)
    except typer.BadParameter as fault:
        raise SettingsError(fault.format_message()) from fault
    return wanted.settings


def as_toml(settings: Any) -> str:
    """Write settings as the TOML file that would give them anywhere; passwords in URLs are hidden."""
    values = {key: (getattr(settings, key), option) for key, option in options(type(settings)).items()}
    plain = {
        key: from_folder(Path.cwd(), _plain(value), option.metavar)
        for key, (value, option) in values.items()
        if value is not None
    }
    in_file = {
        table.key or key: _plain(getattr(settings, key).content)
        for key, table in tables(type(settings)).items()
    }
    return tomli_w.dumps(plain | {key: content for key, content in in_file.items() if content})


def _flags(settings: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(settings, include_extras=True)
    in_file, flags = tables(settings), []
    for name, option in options(settings).items():
        option.envvar = option.envvar or ENVIRONMENT_PREFIX + name.upper()
    for field in dataclasses.fields(settings):
        if field.name in in_file:
            continue
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        default = inspect.Parameter.empty if default is dataclasses.MISSING else default
        flags.append(_parameter(field.name, hints[field.name], default))
    return flags


def _config_flags(settings: type[Any], beside: type[Any]) -> list[inspect.Parameter]:
    def load(context: typer.Context, path: Path | None) -> Path | None:
        if path is not None:
            found = read_file(path, settings, beside)
            check_values(context, path, found)
            context.default_map = {**(context.default_map or {}), **found}
        return path

    config = typer.Option(
        help="Read settings from this TOML file; its keys are the flags' names, with _ for -.",
        envvar=ENVIRONMENT_PREFIX + "CONFIG",
        is_eager=True,
        callback=load,
        exists=True,
        dir_okay=False,
    )
    show = typer.Option("--print-config", help="Print the settings in force as TOML, and stop.")
    return [
        _parameter("config", Annotated[Path | None, config], None),
        _parameter("print_config", Annotated[bool, show], default=False),
    ]


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_characters(key: str, value: Any) -> None:
    """Raises SettingsError where a value contains what it never may."""
    for one in value if isinstance(value, list) else (value,):
        wrong = next((each for each in str(one) if unicodedata.category(each) in _NEVER), None)
        if wrong is not None:
            raise SettingsError(
                f"--{key.replace('_', '-')} {hide_password(str(one))!r} contains {wrong!r}, a"
                f" {_NEVER[unicodedata.category(wrong)]}"
            )


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case bool() | int() | float():
            return value
        case _:
            return hide_password(str(value))
