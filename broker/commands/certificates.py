"""`fog-broker cert`: a small certificate authority for one's own nodes and devices."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from broker.contract.identity import Role
from broker.errors import WeighbridgeError
from broker.security.authority import DAYS, Written, make_authority, make_certificate

cert_app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Make certificates for nodes and devices."
)

Folder = Annotated[
    Path, typer.Option(metavar="DIR", help="Where ca.crt and ca.key are, and what is made is written.")
]
Name = Annotated[str, typer.Argument(help="The user that the certificate names; a node's is its --name.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="For how long it is valid.")]


@cert_app.command()
def ca(folder: Folder = Path("certificates")) -> None:
    """Make the authority. Keep ca.key off the nodes: who has it can be anybody."""
    _tell(partial(make_authority, folder))


@cert_app.command()
def node(
    name: Name,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|ADDRESS", help="By what the node is reached; may be repeated."),
    ] = None,
    folder: Folder = Path("certificates"),
    days: Days = DAYS,
) -> None:
    """Make a node's certificate, for its listeners and for its links to other nodes.

    Example: fog-broker cert node kitchen --host kitchen.local --host 192.168.1.7
    """
    _tell(partial(make_certificate, folder, name, Role.NODE, hosts=host or (), days=days))


@cert_app.command()
def device(name: Name, folder: Folder = Path("certificates"), days: Days = DAYS) -> None:
    """Make a device's certificate, by which it logs in without a password."""
    _tell(partial(make_certificate, folder, name, Role.DEVICE, days=days))


def _tell(make: Callable[[], Written]) -> None:
    """Make files and say where they are; end with a sentence where that fails."""
    try:
        written = make()
    except WeighbridgeError as fault:
        sys.exit(f"error: {fault}")
    typer.echo(f"{written.cert}\n{written.key}")
