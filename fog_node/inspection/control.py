"""Answers questions of its own user about a running node, on a unix socket in the data folder."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec
import structlog

from broker.contract.topics import Weight
from broker.errors import WeighbridgeError
from broker.programs.sockets import prepare_folder, socket_path
from fog_node.placement import Line

log = structlog.get_logger()

SOCKET = "control.sock"
LONGEST_QUESTION = 64 * 1024
ANSWER_TIMEOUT = 2.0
"""Seconds that a node has for an answer, and a client for its question."""

STAYS = "tasks, rules and settings stay as they were"
"""What comes of a reload that fails."""


class NodeSilent(WeighbridgeError):
    """Raised when no running node answers."""


class AskPeers(msgspec.Struct, frozen=True, tag="peers"):
    """The question which nodes are next to this one."""


class AskPlace(msgspec.Struct, frozen=True, tag="place"):
    """The question where a task of `size` bytes would go that has to be done within `budget` seconds."""

    weight: Weight
    task: str
    size: int = 0
    budget: float | None = None


class AskRules(msgspec.Struct, frozen=True, tag="rules"):
    """The question what became of the messages that the node's rules are about."""


class AskReload(msgspec.Struct, frozen=True, tag="reload"):
    """Not a question but an order: to read settings, tasks and rules again.

    With `new_workers`, to start new ones even if they would run what the old ones run.
    """

    new_workers: bool = False


class Wait(msgspec.Struct, frozen=True):
    """The slots for one weight at another node, and what a task would wait for one."""

    slots: int
    wait_ms: float


class PeerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One node next to this one, or the cloud. `name` is empty until it has told its first state.

    `gateways` are those behind the cloud's broker; the cloud's own figures are those of all together.
    """

    place: str
    name: str
    state: str
    link: bool
    age_s: float | None = None
    round_trip_ms: float | None = None
    handed_over: int
    waits: dict[Weight, Wait] = {}
    gateways: list["PeerLine"] = []


class PlaceAnswer(msgspec.Struct, frozen=True):
    """The candidates for a task, the chosen one among them; none for a task that the node does not have."""

    why: str
    candidates: list[Line]


class Peers(msgspec.Struct, frozen=True):
    """All the nodes next to this one."""

    peers: list[PeerLine]


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, and what became of the messages on its topics: by the reason, by the error code."""

    rule: str
    source: str
    on: str
    task: str
    matched: int
    started: int
    passed_over: dict[str, int]
    refused: dict[str, int]


class Rules(msgspec.Struct, frozen=True):
    """All the rules."""

    rules: list[RuleLine]


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """What a reload has changed, and which settings wait for the next start.

    With a `fault` neither tasks, rules nor settings have changed: users and certificates alone.
    """

    fault: str = ""
    changes: list[str] = []
    only_at_start: list[str] = []


Question = AskPeers | AskPlace | AskRules | AskReload
Answer = Peers | PlaceAnswer | Rules | Reloaded
Found = TypeVar("Found", bound=msgspec.Struct)

_questions = msgspec.json.Decoder(Question)


async def serve(folder: Path, answer: Callable[[Question], Awaitable[Answer]]) -> NoReturn:
    """Answer one question for each connection until cancelled. Raises SettingsError, OSError."""
    path = socket_path(folder, SOCKET)
    prepare_folder(path)
    path.unlink(missing_ok=True)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                question = _questions.decode(await reader.readline())
            found = msgspec.json.encode(await answer(question))
            async with asyncio.timeout(ANSWER_TIMEOUT):
                writer.write(found)
                await writer.drain()
        except (msgspec.MsgspecError, ValueError, OSError, TimeoutError) as fault:
            log.warning("question_unreadable", reason=str(fault))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_unix_server(converse, path, limit=LONGEST_QUESTION)
    path.chmod(0o600)
    try:
        await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)
    raise AssertionError("serves until it is cancelled")


async def ask(
    folder: Path, question: Question, answer: type[Found], *, timeout: float = ANSWER_TIMEOUT
) -> Found:
    """Ask the node whose data folder this is. Raises NodeSilent."""
    path = socket_path(folder, SOCKET)
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(msgspec.json.encode(question) + b"\n")
            found = await reader.read()
            writer.close()
        return msgspec.json.decode(found, type=answer)
    except (OSError, TimeoutError, msgspec.MsgspecError) as fault:
        raise NodeSilent(
            f"no running node answers at {path} ({fault or 'nothing said'}); is it started, and is this"
            " its --name, or its --data folder?"
        ) from fault
