"""Mosquitto's own command-line clients, as a person types them."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from broker.contract.messages import Outcome

TIMEOUT = 30.0
MARK = b"published: "
"""Tells what was published from what mosquitto_sub says of itself."""


def require(*programs: str) -> None:
    """Skip the test where a client is missing; fail it where everything has to be there."""
    for program in programs:
        if shutil.which(program) is None:
            if os.environ.get("CI"):
                pytest.fail(f"{program} is not installed")
            pytest.skip(f"{program} is not installed (Debian: apt install mosquitto-clients)")


def request(port: int, topic: str, payload: str | bytes, *options: str, answer: str | None = None) -> Outcome:
    """Publish a task and return its outcome: text with mosquitto_rr, bytes with mosquitto_sub and _pub.

    The answer is awaited on the result topic that belongs to a full task topic, or on `answer`.
    """
    if answer is None:
        _, _, _, _, device, name = topic.split("/")
        answer = f"fog/results/{device}/{name}"
    # mosquitto_rr 2.0.11 sends nothing where it is told to send a file or its input (-f, -s).
    ask = _ask_raw if isinstance(payload, bytes) else _ask
    return msgspec.json.decode(ask(port, topic, payload, answer, options), type=Outcome)  # type: ignore[arg-type]


def _ask(port: int, topic: str, payload: str, answer: str, options: Sequence[str]) -> bytes:
    require("mosquitto_rr")
    command = ["mosquitto_rr", "-p", str(port), "-t", topic, "-e", answer, "-W", str(int(TIMEOUT))]
    command += ["-V", "mqttv311", *options, *(("-m", payload) if payload else ("-n",))]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT + 5, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _ask_raw(port: int, topic: str, payload: bytes, answer: str, options: Sequence[str]) -> bytes:
    with listening(port, answer, count=1) as listener:
        publish(port, topic, payload, "-q", "1", *options)
        (message,) = listener.wait()
    return message


class Listener:
    """A mosquitto_sub that has subscribed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def wait(self) -> list[bytes]:
        """The payloads, once as many have come as were asked for."""
        assert self.process.stdout is not None
        # Not communicate(), which would pass over what is buffered here; -W ends it in any case.
        out = self.process.stdout.read()
        status = self.process.wait(TIMEOUT)
        assert status == 0, f"mosquitto_sub ended with {status}"
        return [line.removeprefix(MARK) for line in out.splitlines() if line.startswith(MARK)]


@contextlib.contextmanager
def listening(port: int, topic: str, *options: str, count: int, shown: str = "%p") -> Iterator[Listener]:
    """Subscribe with mosquitto_sub; the context begins when the broker has confirmed it.

    `shown` is what its option -F makes of each message.
    """
    require("mosquitto_sub", "mosquitto_pub")
    command = ["mosquitto_sub", "-p", str(port), "-t", topic, "-C", str(count), "-W", str(int(TIMEOUT)), "-d"]
    command += ["-F", MARK.decode() + shown]
    process = subprocess.Popen(
        ["stdbuf", "-oL", *command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"SUBACK" not in (line := process.stdout.readline()):
            said += line
            assert line, f"mosquitto_sub ended before it had subscribed: {said.decode()}"
        yield Listener(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def publish(port: int, topic: str, payload: str | bytes, *options: str) -> str:
    """Publish with mosquitto_pub; return what it complains of."""
    require("mosquitto_pub")
    command = ["mosquitto_pub", "-p", str(port), "-t", topic, *options]
    given = None
    if not payload:
        command.append("-n")
    elif isinstance(payload, str):
        command += ["-m", payload]
    else:
        command.append("-s")
        given = payload
    done = subprocess.run(command, input=given, check=True, timeout=TIMEOUT, capture_output=True)
    return done.stderr.decode()
