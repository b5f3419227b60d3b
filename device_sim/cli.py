"""The command line of devices: `device-sim submit|watch|nodes|fleet|demo`."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from broker.contract.messages import encode
from broker.contract.mqtt_version import MqttVersion
from broker.contract.payload_faults import explain
from broker.contract.topics import Weight
from broker.errors import SettingsError, WeighbridgeError
from broker.links.discovery import all_addresses, find
from broker.programs.logs import LogFormat, LogLevel, set_up_logs
from broker.programs.mqtt_option import mqtt_option
from broker.programs.settings import Version, add_command
from device_sim.client.device import Device
from device_sim.client.pending import Pending
from device_sim.demo.demo import DemoSettings, house, invitation
from device_sim.errors import NodeUnreachable
from device_sim.fleet.fleet import Fleet
from device_sim.fleet.report import FleetReport, loss_sentence
from device_sim.fleet.screen import final_table, make_console, show_live
from device_sim.fleet.settings import DEFAULT_NODE, FleetSettings
from device_sim.running import run, until
from device_sim.watch.watch import collect_nodes, watch

OK, FAILED, USAGE, NO_ANSWER = 0, 1, 2, 3
DISCOVERY_TIMEOUT = 4.0
"""Seconds in which a node has to answer: an mDNS answer takes up to one, and the question is repeated."""

app = typer.Typer(
    name="device-sim",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _about(*, version: Version = False) -> None:  # its callback answers
    """Devices: submit a task, watch what happens, or be a whole fleet."""


Node = Annotated[str, typer.Option(metavar="URL", envvar="FOG_NODE", help="The node, as mqtt://HOST[:PORT].")]
Discover = Annotated[
    bool, typer.Option("--discover", help="Find the node on the local network by mDNS, instead of --node.")
]
Mqtt = Annotated[MqttVersion | None, mqtt_option("to speak")]


@app.command("submit")
def _submit(
    weight: Annotated[Weight, typer.Argument(help="How heavy it is; auto: as the task itself declares.")],
    task: Annotated[str, typer.Argument(help="The task's name.")],
    payload: Annotated[
        str | None,
        typer.Argument(
            help="Its arguments as JSON; @FILE or - (stdin) sends raw bytes.", show_default="none"
        ),
    ] = None,
    *,
    node: Node = DEFAULT_NODE,
    discover: Discover = False,
    mqtt: Mqtt = None,
    device: Annotated[
        str | None, typer.Option(help="The device's name.", show_default="the user in --node, or random")
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            help="The task's id; the same task with it again gets the same outcome.", show_default="new"
        ),
    ] = None,
    deadline: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds after which the result is of no use any more.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds to wait for the answer.")] = 60.0,
    progress: Annotated[bool, typer.Option("--progress", help="Tell each step on stderr.")] = False,
) -> None:
    """Have one task run and print its outcome as JSON.

    \b
    device-sim submit light sum '[1, 2, 3]'
    device-sim submit light sum '[1, 2, 3]' --node mqtt://192.168.1.5
    device-sim submit auto echo '{"word": "hello"}' --deadline 0.2
    device-sim submit heavy thumbnail @photo.jpg --progress --timeout 120

    Exit status: 0 the task was done, 1 it failed, 2 wrong usage, 3 no answer. Ctrl-C takes it back.
    """  # noqa: D301  # click wants the character itself
    content = _read_payload(payload, deadline)

    async def main(stop: asyncio.Event) -> int:
        async with _device(await _found(node, discover=discover), device, mqtt) as client:
            try:
                pending = await client.send(
                    weight, task, content, deadline=deadline, id=id, progress=progress
                )
            except ValueError as fault:
                raise SettingsError(str(fault)) from fault
            return await _see_through(client, pending, timeout=timeout, progress=progress, stop=stop)

    _run(main)


@app.command("watch")
def _watch(
    *,
    node: Node = DEFAULT_NODE,
    discover: Discover = False,
    mqtt: Mqtt = None,
    device: Annotated[str | None, typer.Option(help="Only this device's tasks.", show_default="all")] = None,
    states: Annotated[bool, typer.Option("--states/--no-states", help="The nodes' states, too.")] = True,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
) -> None:
    """Show results, progress and the nodes' states as they are published.

    On a pipe each message is one line: its topic, a space, its payload.

    \b
    device-sim watch
    device-sim watch --device me --no-states | head -n 5
    """  # noqa: D301  # click wants the character itself

    async def main(stop: asyncio.Event) -> int:
        url = await _found(node, discover=discover)
        await watch(url, device=device, states=states, count=count, stop=stop, mqtt=mqtt)
        return OK

    _run(main)


@app.command("nodes")
def _nodes(
    *,
    node: Node = DEFAULT_NODE,
    discover: Discover = False,
    mqtt: Mqtt = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = 1.5,
) -> None:
    """List the nodes whose state can be heard at a node, with their load and tasks."""

    async def main(stop: asyncio.Event) -> int:
        url = await _found(node, discover=discover)
        book = await collect_nodes(url, seconds=seconds, stop=stop, mqtt=mqtt)
        make_console().print(book.table())
        return OK

    _run(main)


def _fleet(settings: FleetSettings) -> None:
    """Be a fleet of devices that send the original's workload, and sum up what came back.

    \b
    device-sim fleet --devices 10 --seconds 60
    device-sim fleet --node mqtt://fog-a --node mqtt://fog-b --devices 300
    device-sim fleet --task light=echo --light 600 --medium 0 --heavy 0
    device-sim fleet --seconds 120 --pace poisson --report run.json

    Tasks are sent at their scheduled times whatever comes back, and response times count from these
    times. Exit status: 0, 1 if a task was never answered, 3 if a node could not be reached.
    """  # noqa: D301  # click wants the character itself
    _run(lambda stop: _run_fleet(settings, stop))


def _demo(settings: DemoSettings) -> None:
    """Start a cloud, two fog nodes and a fleet on this machine, sum up, and leave nothing running."""
    _run(lambda stop: _run_demo(settings, stop))


add_command(app, FleetSettings, _fleet, name="fleet")
add_command(app, DemoSettings, _demo, name="demo")


async def _run_fleet(settings: FleetSettings, stop: asyncio.Event) -> int:
    console, fleet = make_console(), Fleet(settings)
    async with _live_view(console, fleet, settings):
        report = await fleet.run(stop)
    return _tell(console, report, settings.report)


@contextlib.asynccontextmanager
async def _live_view(console: Console, fleet: Fleet, settings: FleetSettings) -> AsyncIterator[None]:
    if not console.is_terminal:
        yield
        return
    view = show_live(console, fleet, seconds=settings.seconds, grace=settings.grace)
    showing = asyncio.create_task(view, name="live view")
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


def _tell(console: Console, report: FleetReport, file: Path | None) -> int:
    console.print(final_table(report))
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    if report.lost:
        _say(loss_sentence(report))
    elif not report.interrupted:
        console.print("Every task was answered; one that was late was done all the same.")
    return FAILED if report.lost else OK


async def _run_demo(settings: DemoSettings, stop: asyncio.Event) -> int:
    console = make_console()
    console.print("Starting one cloud and two fog nodes …")
    async with contextlib.AsyncExitStack() as stack:
        nodes = await until(stop, stack.enter_async_context(house(console)))
        if nodes is None:
            return FAILED
        console.print(invitation(nodes[0]), soft_wrap=True)
        return await _run_fleet(settings.fleet(nodes), stop)


async def _see_through(
    client: Device, pending: Pending, *, timeout: float, progress: bool, stop: asyncio.Event
) -> int:
    telling = asyncio.create_task(_tell_steps(pending) if progress else asyncio.sleep(0), name="tell steps")
    try:
        outcome = await until(stop, pending.outcome(timeout=timeout))
        if outcome is None:
            with contextlib.suppress(NodeUnreachable):
                await client.cancel(pending.id)
                _say(f"{pending.id} was taken back")
            return FAILED
        if progress:
            await telling
    finally:
        telling.cancel()
    typer.echo(encode(outcome))
    return OK if outcome.ok else FAILED


async def _tell_steps(pending: Pending) -> None:
    async for step in pending.progress():
        percent = "" if step.percent is None else f" {step.percent:g} %"
        typer.echo(f"{step.stage}{percent} at {step.node}", err=True)


async def _found(node: str, *, discover: bool) -> str:
    """The URL of the node to use: the one given, or whichever answers first on the local network."""
    if not discover:
        return node
    found = await find(all_addresses(), DISCOVERY_TIMEOUT)
    if found is None:
        raise NodeUnreachable(f"no node answered on the local network within {DISCOVERY_TIMEOUT:g} s")
    _say(f"found {found.node} at {found.url}")
    return found.url


def _device(node: str, name: str | None, mqtt: MqttVersion | None) -> Device:
    try:
        return Device(node, name=name, mqtt=mqtt)
    except ValueError as fault:
        raise SettingsError(str(fault)) from fault


def _read_payload(text: str | None, deadline: float | None) -> Any:
    match text:
        case None | "":
            return None
        case "-":
            return sys.stdin.buffer.read()
        case _ if text.startswith("@"):
            try:
                return Path(text[1:]).read_bytes()
            except OSError as fault:
                raise typer.BadParameter(f"{text[1:]} cannot be read: {fault.strerror}") from fault
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise typer.BadParameter(
            f"PAYLOAD {text[:40]!r} is not JSON: {explain(text.encode(), fault)}; @FILE or - sends raw bytes"
        ) from fault
    # The text is sent as it was typed, unless a deadline has to be added.
    return text.encode() if deadline is None else value


def _run(main: Callable[[asyncio.Event], Coroutine[Any, Any, int]]) -> None:
    set_up_logs(level=LogLevel.WARNING, format=LogFormat.AUTO, program="device-sim")
    try:
        status = run(main)
    except SettingsError as fault:
        _say(str(fault))
        status = USAGE
    except WeighbridgeError as fault:
        _say(str(fault))
        status = NO_ANSWER
    raise typer.Exit(status)


def _say(sentence: str) -> None:
    typer.echo(f"device-sim: {sentence}", err=True)
