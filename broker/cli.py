"""The broker's command line: the embedded broker by itself, its users, and certificates."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from broker.commands.certificates import cert_app
from broker.commands.users import user_app
from broker.engines.embedded import EmbeddedEngine
from broker.engines.options import ListenOptions
from broker.errors import WeighbridgeError
from broker.programs.logs import LogFormat, LogLevel, end_with, set_up_logs
from broker.programs.settings import add_command
from broker.programs.stop_signals import on_stop_signals
from broker.programs.streams import unfailing

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.add_typer(user_app, name="user")
app.add_typer(cert_app, name="cert")


@dataclass(frozen=True, kw_only=True)
class BrokerSettings(ListenOptions):
    """A broker by itself."""

    max_payload: Annotated[int, typer.Option(min=1, help="The largest payload taken, in bytes.")] = (
        8 * 1024 * 1024
    )
    log_level: Annotated[LogLevel, typer.Option(help="The least severe log lines to write.")] = LogLevel.INFO
    log_format: Annotated[LogFormat, typer.Option(help="How log lines are written to stderr.")] = (
        LogFormat.AUTO
    )


def serve(settings: BrokerSettings) -> None:
    """Run the embedded MQTT broker by itself: a place for nodes to meet, or to try clients on.

    Example: fog-broker --listen localhost:1883

    Prints `ready broker mqtt://HOST:PORT` once it listens; Ctrl-C, SIGTERM and SIGHUP end it.
    """
    set_up_logs(level=settings.log_level, format=settings.log_format, program="broker")
    try:
        run(_serve(settings))
    except WeighbridgeError as fault:
        end_with(fault, settings.log_format)


async def _serve(settings: BrokerSettings) -> None:
    stop = asyncio.Event()
    on_stop_signals(lambda _: stop.set())
    embedded = settings.embedded_settings(max_payload=settings.max_payload)
    engine = EmbeddedEngine(embedded, settings.access())
    try:
        await engine.start(lambda _: None, [])
        unfailing(1).write(f"ready broker {engine.url}\n")
        await stop.wait()
    finally:
        await engine.stop()


add_command(app, BrokerSettings, serve)
