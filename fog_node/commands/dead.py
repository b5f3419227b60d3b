"""`fog-node dead`: shows the dead letters of a node, submits them again, or throws them away."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Annotated, NoReturn

import typer
from rich.table import Table

from broker.client import BusClient, ClientSettings
from broker.contract.message import Message
from broker.errors import WeighbridgeError
from broker.programs.logs import LogFormat, LogLevel, set_up_logs
from broker.programs.settings import add_command
from fog_node.commands.node_choice import NodeChoice
from fog_node.commands.showing import show
from fog_node.journal.dead_letters import DeadLetter, DeadLetters
from fog_node.settings import FogSettings

CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, kw_only=True)
class DeadSettings(NodeChoice):
    """Whose dead letters, and what to do with which of them."""

    again: Annotated[
        list[int], typer.Option(metavar="KEY", help="Submit this letter again; may be repeated.")
    ] = field(default_factory=list)
    drop: Annotated[
        list[int], typer.Option(metavar="KEY", help="Throw this letter away; may be repeated.")
    ] = field(default_factory=list)
    broker: Annotated[
        str, typer.Option(metavar="URL", help="The node's broker, to submit letters again.")
    ] = "mqtt://127.0.0.1:1883"


def dead(settings: DeadSettings) -> None:
    """Show the tasks that killed their worker each time they were tried.

    Example: fog-node dead --name kitchen; then, with the fault mended,
    fog-node dead --name kitchen --again 17 --broker mqtt://127.0.0.1:1883
    """
    set_up_logs(level=LogLevel.WARNING, format=LogFormat.AUTO, program="fog-node dead")
    try:
        letters = DeadLetters(settings.folder / "journal.db")
        found = {letter.key: letter for letter in letters.all()}
        for key in (*settings.again, *settings.drop):
            if key not in found:
                _fail(f"there is no dead letter {key}; there is {', '.join(map(str, found)) or 'none'}")
        for key in settings.drop:
            letters.drop(found[key])
        if settings.again:
            asyncio.run(_submit(settings.broker, letters, [found[key] for key in settings.again]))
    except TimeoutError:
        _fail(f"the node at {settings.broker} did not acknowledge the task; the letter is kept")
    except WeighbridgeError as fault:
        _fail(str(fault))
    if not settings.again and not settings.drop:
        _show(list(found.values()))


async def _submit(url: str, letters: DeadLetters, chosen: list[DeadLetter]) -> None:
    handed = next((letter for letter in chosen if letter.origin), None)
    if handed is not None:
        _fail(f"letter {handed.key} came from node {handed.origin}; submit it again there")
    client = BusClient(url, ClientSettings(client_id="fog-node-dead", persistent=False))
    client.start(lambda _: None, ())
    try:
        await client.wait_connected(CONNECT_TIMEOUT)
        for letter in chosen:
            letters.forget_outcome(letter)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await client.publish(Message(topic=letter.topic, payload=letter.payload, qos=1))
            letters.drop(letter)
            print(f"submitted {letter.topic}")
    finally:
        await client.stop()


def _show(letters: list[DeadLetter]) -> None:
    table = Table("key", "died", "weight", "task", "from", "id", "reason", box=None)
    for letter in letters:
        died = letter.died.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        sender = f"{letter.origin}: {letter.device}" if letter.origin else letter.device
        table.add_row(str(letter.key), died, letter.weight, letter.task, sender, letter.id, letter.reason)
    show(table if letters else "no dead letters")


def _fail(sentence: str) -> NoReturn:
    sys.exit(f"error: {sentence}")


def add_dead_command(app: typer.Typer) -> None:
    """Make it a command of the fog node's program."""
    add_command(app, DeadSettings, dead, name="dead", beside=FogSettings)
