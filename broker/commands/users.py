"""`fog-broker user`: who may log in. A password is never an argument, which others could see."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from broker.contract.identity import Role
from broker.errors import SettingsError, WeighbridgeError
from broker.security.text_file import decode_text, read_text
from broker.security.users import User, make_user, read_users, write_users

user_app = typer.Typer(add_completion=False, no_args_is_help=True, help="Add, list and remove users.")

Name = Annotated[
    str, typer.Argument(help="The user's name; a device's is its <device>, a node's its --name.")
]
Users = Annotated[
    Path,
    typer.Option(
        "--users", envvar="FOG_USERS", metavar="FILE", help="The users file, made where it is missing."
    ),
]


@user_app.command()
def add(
    name: Name,
    users: Users,
    role: Annotated[Role, typer.Option(help="What the user is.")] = Role.DEVICE,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the password from a file's first line.")
    ] = None,
    mosquitto: Annotated[
        bool,
        typer.Option(
            "--mosquitto", help="Also hash the password as a node with --engine mosquitto needs it."
        ),
    ] = False,
) -> None:
    """Add a user, or change its role and password. The password is asked for, or read from stdin.

    Example: fog-broker user add thermometer --users users.toml
    """

    def change(known: dict[str, User]) -> str:
        known[name] = make_user(name, role, _password(password_file), mosquitto=mosquitto)
        return f"{name} has the role {role} now"

    _change(users, change, fresh=True)


@user_app.command("list")
def show(users: Users) -> None:
    """Show the users and their roles."""

    def change(known: dict[str, User]) -> str:
        return "\n".join(f"{user.name}\t{user.role}" for user in known.values())

    _change(users, change, write=False)


@user_app.command()
def remove(name: Name, users: Users) -> None:
    """Remove a user; a running broker closes its connections within a second."""

    def change(known: dict[str, User]) -> str:
        if known.pop(name, None) is None:
            raise SettingsError(f"there is no user {name!r} in {users}")
        return f"{name} is removed"

    _change(users, change)


def _change(
    path: Path, change: Callable[[dict[str, User]], str], *, fresh: bool = False, write: bool = True
) -> None:
    try:
        known = {} if fresh and not path.exists() else read_users(path)
        said = change(known)
        if write:
            write_users(path, known)
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
    if said:
        typer.echo(said)


def _password(file: Path | None) -> str:
    if file is not None:
        try:
            return _first_line(read_text(file))
        except (OSError, SettingsError) as fault:
            raise SettingsError(f"the password file {file} cannot be read: {fault}") from fault
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    try:
        return _first_line(decode_text(sys.stdin.buffer.readline()))
    except SettingsError as fault:
        raise SettingsError(f"the password cannot be read: {fault}") from fault


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")
