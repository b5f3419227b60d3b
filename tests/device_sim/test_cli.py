import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from broker.links.discovery import Discovery
from device_sim.demo.demo import DemoSettings
from device_sim.fleet.settings import DEFAULT_NODE
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.scripted_node import ScriptedNode
from tests.support.version_door import VersionDoor

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def device_sim(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "device_sim", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=environment.pop("cwd", str(ROOT)),
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    return await run_with(b"", *arguments, **environment)


async def run_with(stdin: bytes, *arguments: str, **environment: str) -> tuple[int, str, str]:
    async with device_sim(*arguments, **environment) as process:
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


async def test_submit_prints_the_outcome(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    arguments = (
        "submit",
        "light",
        "sum",
        "[1, 2, 3]",
        "--node",
        mosquitto.url,
        "--device",
        "me",
        "--id",
        "42",
    )
    status, out, err = await run(*arguments)
    assert (status, err) == (0, "")
    assert json.loads(out)["value"] == 6
    assert str(node.heard[0][0]) == "fog/tasks/light/sum/me/42"
    # As it was typed, spaces and all.
    assert node.heard[0][1] == b"[1, 2, 3]"


async def test_submit_of_a_task_that_fails_ends_with_1(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    status, out, err = await run("submit", "auto", "nothing", FOG_NODE=mosquitto.url)
    assert (status, err) == (1, "")
    assert json.loads(out)["error"]["code"] == "unknown-task"


async def test_submit_puts_a_deadline_in_and_sends_files_and_stdin_raw(
    node: ScriptedNode, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"\xff\xd8")
    for arguments in (("sum", "7", "--deadline", "2"), ("raw", f"@{file}"), ("raw", "-"), ("echo",)):
        status, _, _ = await run_with(b"\x00\xff", "submit", "light", *arguments, FOG_NODE=mosquitto.url)
        assert status == 0
    assert [payload for _, payload in node.heard] == [
        b'{"$args":[7],"$deadline":2.0}',
        b"\xff\xd8",
        b"\x00\xff",
        b"",
    ]


async def test_submit_tells_progress_on_stderr(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    status, out, err = await run("submit", "heavy", "steps", "--progress", FOG_NODE=mosquitto.url)
    assert (status, json.loads(out)["value"]) == (0, "done")
    assert err.splitlines() == [
        "accepted at scripted",
        "running 50 % at scripted",
        "running 100 % at scripted",
    ]


async def test_submit_without_an_answer_ends_with_3(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    status, out, err = await run(
        "submit", "light", "silent", "--timeout", "0.2", "--id", "7", FOG_NODE=mosquitto.url
    )
    assert (status, out) == (3, "")
    assert err == "device-sim: no answer to silent 7 in 0.2 s\n"
    port = free_port()
    status, _, err = await run("submit", "light", "sum", "--node", f"mqtt://127.0.0.1:{port}")
    assert status == 3
    assert (
        err == f"device-sim: no connection to the node at 127.0.0.1:{port}: [Errno 111] Connection refused\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tiny", "sum"), "'tiny' is not one of"),
        (("light", "sum", "[1,2"), "is not JSON"),
        (("light", "sum", "hello"), 'text needs " around it'),
        (("light", "raw", "@/nowhere/at/all"), "No such file"),
        (("light", "raw", "-", "--deadline", "1"), "no room for a deadline"),
        (("light", "a/b"), "task 'a/b' contains"),
        (("light", "sum", "--device", ""), "device '' is empty"),
        (("light", "sum", "--node", "localhost"), "mqtt://HOST"),
        (("light", "sum", "--timeout", "0"), "--timeout"),
        (("light", "sum", "--mqtt", "4"), "'4' is not a version of MQTT"),
        (("light",), "task"),
    ],
)
async def test_wrong_usage_of_submit_ends_with_2(
    mosquitto: Mosquitto, arguments: tuple[str, ...], said: str
) -> None:
    status, out, err = await run("submit", *arguments, FOG_NODE=mosquitto.url)
    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["submit light sum", "watch", "nodes", "fleet --seconds 0.1"])
async def test_every_command_speaks_the_version_that_is_asked_for(mosquitto: Mosquitto, command: str) -> None:
    async with VersionDoor(mosquitto.port) as door:
        async with device_sim(*command.split(), "--node", door.url, "--mqtt", "3"):
            await eventually(lambda: door.spoken == [4])
        async with device_sim(*command.split(), "--node", door.url):
            await eventually(lambda: door.spoken == [4, 5])
    assert DemoSettings(mqtt=3).fleet([DEFAULT_NODE]).mqtt == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
async def test_interrupting_submit_takes_the_task_back(
    node: ScriptedNode, mosquitto: Mosquitto, number: signal.Signals, status: int
) -> None:
    async with device_sim("submit", "heavy", "silent", "--id", "9", FOG_NODE=mosquitto.url) as process:
        await eventually(lambda: node.heard)
        process.send_signal(number)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (status, b"", b"device-sim: 9 was taken back\n")
    assert node.cancelled == ["9"]


async def test_watch_writes_a_line_for_each_message_on_a_pipe(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with device_sim("watch", "--device", "me", "--count", "4", FOG_NODE=mosquitto.url) as process:
        assert process.stdout is not None
        lines: list[str] = []
        reading = asyncio.create_task(process.stdout.read())
        while not reading.done():
            # Nothing tells from outside when it listens, so there is something to hear until it ends.
            await run("submit", "light", "steps", "--device", "me", FOG_NODE=mosquitto.url)
        lines = (await reading).decode().splitlines()
        assert await process.wait() == 0
    assert len(lines) == 4
    assert all(line.startswith(("fog/progress/me/", "fog/results/me/")) for line in lines)
    assert json.loads(lines[0].partition(" ")[2])["task"] == "steps"


async def test_watch_ends_quietly_with_its_reader_and_with_ctrl_c(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with device_sim("watch", FOG_NODE=mosquitto.url) as process:
        assert process.stdout is not None
        process.stdout._transport.close()  # type: ignore[attr-defined]
        while process.returncode is None:
            await run("submit", "light", "steps", FOG_NODE=mosquitto.url)
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_nodes_lists_what_is_retained(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    state = '{"node":"fog-a","online":true,"version":"0.1.0"}'
    topic = "fog/nodes/fog-a/state"
    await node._client.publish(topic, state, qos=1, retain=True)
    status, out, _ = await run("nodes", "--seconds", "0.3", FOG_NODE=mosquitto.url)
    assert status == 0
    assert "fog-a" in out
    assert "online" in out


async def test_fleet_reports_and_ends_with_1_if_something_was_lost(
    node: ScriptedNode, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    basic = ("fleet", "--node", mosquitto.url, "--seconds", "0.5", "--grace", "0.3", "--light", "600")
    status, out, err = await run(*basic, "--heavy", "0", "--report", str(file))
    assert (status, err) == (0, "")
    assert "waited no longer" in out
    report = json.loads(file.read_text("utf-8"))
    assert report["weights"]["light"]["sent"] == report["weights"]["light"]["done"] > 0
    status, out, err = await run(*basic, "--medium", "0", "--heavy", "0", "--task", "light=silent")
    assert status == 1
    assert err.startswith("device-sim: 5 of 5 tasks were sent and never answered: 5 light.")


async def test_interrupting_a_fleet_reports_so_far(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with device_sim("fleet", "--light", "1200", FOG_NODE=mosquitto.url) as process:
        await eventually(lambda: len(node.heard) > 5)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert b"interrupted" in out


def read_all(terminal: int) -> str:
    shown = b""
    # Linux ends a terminal that nobody writes to any more with an error.
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            shown += data
    return shown.decode()


def test_a_fleet_on_a_terminal_shows_itself_running(mosquitto: Mosquitto) -> None:
    """Without colours where they are not wanted."""
    ours, theirs = pty.openpty()
    workload = ("--seconds", "0.5", "--grace", "1", "--light", "600", "--medium", "0", "--heavy", "0")
    with subprocess.Popen(
        (sys.executable, "-m", "device_sim", "fleet", "--node", mosquitto.url, *workload),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        words = read_all(ours)
        os.close(ours)
    assert process.returncode == 1
    assert "sending" in words
    assert "waiting for late answers" in words
    assert "1 device at 1 node for 0.5 s" in words
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", words)


@pytest.mark.parametrize(
    "arguments",
    [("--light", "-1"), ("--task", "x"), ("--report", "/no/x.json"), ("--node", "mqtt:/x"), ("--pace", "x")],
)
async def test_wrong_usage_of_fleet_ends_with_2(arguments: tuple[str, ...]) -> None:
    status, out, err = await run("fleet", *arguments)
    assert (status, out) == (2, "")
    assert arguments[0].strip("-") in err
    assert "Traceback" not in err


@pytest.fixture
def fake_house(tmp_path: Path) -> dict[str, str]:
    """A folder in which `python -m fog_node` and `python -m cloud_node` are scripted nodes."""
    for module in ("fog_node", "cloud_node"):
        (tmp_path / f"{module}.py").write_text(
            "import sys, runpy; runpy.run_module('tests.support.fake_node', run_name='__main__')\n", "utf-8"
        )
    (tmp_path / "tmp").mkdir()
    return {"cwd": str(tmp_path), "PYTHONPATH": f"{tmp_path}:{ROOT}", "TMPDIR": str(tmp_path / "tmp")}


def descendants_of(folder: Path) -> list[psutil.Process]:
    """Processes whose working folder is below `folder`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


async def test_the_demo_runs_and_leaves_nothing(fake_house: dict[str, str], tmp_path: Path) -> None:
    status, out, err = await run("demo", "--seconds", "1", **fake_house)
    assert (status, err) == (0, "")
    assert "mosquitto_rr -p " in out
    assert "-t fog/tasks/light/sum/me/1 -e fog/results/me/1 -m '[1,2,3]'" in out
    assert "-m device_sim submit light sum '[1,2,3]' --node mqtt://127.0.0.1:" in out
    assert "4 devices at 2 nodes for 1 s" in out
    assert list((tmp_path / "tmp").iterdir()) == []
    await eventually(lambda: not descendants_of(tmp_path))


@pytest.mark.parametrize("after", ["Starting", "Try it"])
async def test_an_interrupted_demo_leaves_nothing(
    fake_house: dict[str, str], tmp_path: Path, after: str
) -> None:
    async with device_sim("demo", **fake_house) as process:
        assert process.stdout is not None
        while after.encode() not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    assert list((tmp_path / "tmp").iterdir()) == []
    await eventually(lambda: not descendants_of(tmp_path))


async def test_a_second_ctrl_c_does_not_wait_for_nodes_that_do_not_end(
    fake_house: dict[str, str], mosquitto: Mosquitto, tmp_path: Path
) -> None:
    (tmp_path / "fog_node.py").write_text(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"print('ready x {mosquitto.url}', flush=True); time.sleep(600)\n",
        "utf-8",
    )
    async with device_sim("demo", **fake_house) as process:
        assert process.stdout is not None
        while b"device_sim submit" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        while b"interrupted" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 130
    await eventually(lambda: not descendants_of(tmp_path))


async def test_a_demo_whose_node_does_not_start_says_why(fake_house: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "fog_node.py").write_text("raise SystemExit('no Redis here')\n", "utf-8")
    status, _, err = await run("demo", **fake_house)
    assert status == 3
    assert "ended before it was ready" in err
    assert "no Redis here" in err
    assert "Traceback" not in err
    await eventually(lambda: not descendants_of(tmp_path))


async def test_submit_finds_the_node_on_the_network(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Discovery(["127.0.0.1"]) as discovery:
        await discovery.announce("found-node", mosquitto.port, "0123abcd")
        status, out, err = await run("submit", "light", "sum", "[1, 2, 3]", "--discover")
    assert status == 0, err
    assert "found found-node at mqtt://" in err
    assert json.loads(out)["value"] == 6
