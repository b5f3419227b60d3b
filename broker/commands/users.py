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
    *,
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
    publish: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILTER",
            help="Let it publish there, too; %u is its name. May be repeated; '' takes all away.",
        ),
    ] = None,
    read: Annotated[list[str] | None, typer.Option(metavar="FILTER", help="Let it read there, too.")] = None,
) -> None:
    """Add a user, or change its role and password. The password is asked for, or read from stdin.

    Topics of its own stay as they are where --publish or --read is not given.

    Example: fog-broker user add thermometer --users users.toml
    """

    def change(known: dict[str, User]) -> str:
        before = known.get(name)
        user = known[name] = make_user(
            name,
            role,
            _password(password_file),
            mosquitto=mosquitto,
            publish=_topics(publish, () if before is None else before.publish),
            read=_topics(read, () if before is None else before.read),
        )
        return f"{name} has the role {role} now" + "".join(f", {one}" for one in _own(user))

    _change(users, change, fresh=True)


@user_app.command("list")
def show(users: Users) -> None:
    """Show the users, their roles, and the topics that are their own."""

    def change(known: dict[str, User]) -> str:
        return "\n".join("\t".join((user.name, user.role, *_own(user))) for user in known.values())

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


def _topics(given: list[str] | None, before: tuple[str, ...]) -> tuple[str, ...]:
    """What is asked for, or what was there; an empty text is none."""
    return before if given is None else tuple(filter(None, given))


def _own(user: User) -> list[str]:
    """The topics of a user, in words."""
    topics = {"publishes": user.publish, "reads": user.read}
    return [f"{verb} {' '.join(filters)}" for verb, filters in topics.items() if filters]


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
