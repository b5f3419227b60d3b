"""Submitting with clients that we did not write, on both engines."""

import asyncio
import subprocess
import threading

import msgspec
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.contract.messages import Outcome, Progress, Stage
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import ask, value
from tests.support.programs import Program
from weighbridge import Device, Pending


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_mosquitto_pub_and_sub(node: Program, qos: str, request_id: str) -> None:
    """The README's first promise, with each quality of service."""
    with listening(node.port, "fog/results/me/#", "-q", qos, count=1) as listener:
        publish(node.port, f"fog/tasks/light/sum/me/{request_id}", "[1,2,3]", "-q", qos)
        (line,) = listener.wait()
    assert line.startswith(b'{"ok":true,"value":6,')


@pytest.mark.parametrize(
    ("task", "payload", "expected"),
    [
        ("shout", '{"text": "ab", "times": 2}', "ABAB"),
        ("shout", '["ab"]', "AB"),
        ("shout", '"ab"', "AB"),
        ("echo", "", None),
        ("echo", '{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("echo", '{"__type__": "uuid", "__value__": "x"}', {"__type__": "uuid", "__value__": "x"}),
        ("echo", "123456789012345678901234567890", 123456789012345678901234567890),
        ("sum", '{"$args": [1, 2], "$deadline": 5}', 3),
        ("length", b"\x00\xff" * 1000, 2000),
        ("length", b"", 0),
    ],
)
def test_each_form_of_payload(
    node: Program, request_id: str, task: str, payload: str | bytes, expected: object
) -> None:
    assert value(request(node.port, f"fog/tasks/auto/{task}/me/{request_id}", payload)) == expected


def test_the_outcome_tells_where_and_how_long(node: Program, request_id: str) -> None:
    outcome = request(node.port, f"fog/tasks/medium/halves/me/{request_id}", "")
    assert (outcome.task, outcome.node, outcome.route) == ("halves", "fog-a", ("fog-a",))
    assert outcome.ran_ms >= 150
    assert outcome.total_ms == pytest.approx(outcome.waited_ms + outcome.ran_ms, abs=0.01)
    assert outcome.why == "a slot is free here"
    assert isinstance(outcome.predicted_ms, float)
    assert outcome.predicted_ms > 0


def test_a_light_task_that_stays_needs_no_reason(node: Program, request_id: str) -> None:
    assert request(node.port, f"fog/tasks/light/sum/me/{request_id}", "[1]").why is msgspec.UNSET


def test_heavy_tasks_run_here_without_a_cloud(node: Program, request_id: str) -> None:
    assert value(request(node.port, f"fog/tasks/heavy/sum/me/{request_id}", "[1]")) == 1


def test_a_topic_without_device_is_answered_to_the_client_id(node: Program, request_id: str) -> None:
    """Where the engine knows it; a broker elsewhere does not tell it."""
    name = f"client-{request_id}"
    elsewhere = ("--engine mosquitto", "--engine mqtt:")
    known = not any(one in " ".join(node.process.args) for one in elsewhere)  # type: ignore[arg-type]
    device = name if known else "anonymous"
    with listening(node.port, f"fog/results/{device}/#", count=1) as listener:
        publish(node.port, "fog/tasks/light/sum", "[4]", "-i", name, "-q", "1")
        (line,) = listener.wait()
    assert value(msgspec.json.decode(line, type=Outcome)) == 4


def test_the_reply_option_sends_the_outcome_elsewhere(node: Program, request_id: str) -> None:
    answer = f"fog/results/me/elsewhere/{request_id}"
    payload = msgspec.json.encode({"$reply": answer, "$args": [2]}).decode()
    assert value(request(node.port, f"fog/tasks/light/sum/me/{request_id}", payload, answer=answer)) == 2


def test_progress_tells_each_step(node: Program, request_id: str) -> None:
    with listening(node.port, f"fog/progress/me/{request_id}", count=4) as listener:
        publish(node.port, f"fog/tasks/medium/halves/me/{request_id}", "", "-q", "1")
        steps = [msgspec.json.decode(line, type=Progress) for line in listener.wait()]
    assert [(step.stage, step.percent) for step in steps] == [
        (Stage.ACCEPTED, None),
        (Stage.RUNNING, None),
        (Stage.RUNNING, 50.0),
        (Stage.RUNNING, 100.0),
    ]


def test_the_same_task_under_the_same_id_gets_the_same_outcome(node: Program, request_id: str) -> None:
    first = request(node.port, f"fog/tasks/light/echo/me/{request_id}", '"one"')
    second = request(node.port, f"fog/tasks/light/echo/me/{request_id}", '"one"')
    assert not first.repeated
    assert second == msgspec.structs.replace(first, repeated=True)


def test_another_task_under_the_same_id_is_a_new_one(node: Program, request_id: str) -> None:
    """A phone's button has one topic; `mosquitto_pub -l` sends many lines to one."""
    topic = f"fog/tasks/light/{{}}/me/{request_id}"
    with listening(node.port, f"fog/results/me/{request_id}", count=3) as listener:
        command = ["mosquitto_pub", "-p", str(node.port), "-q", "1", "-t", topic.format("sum"), "-l"]
        subprocess.run(command, input=b"[1,2,3]\n[10,20]\n", check=True, timeout=30)
        publish(node.port, topic.format("echo"), '"hello"', "-q", "1")
        outcomes = [msgspec.json.decode(line, type=Outcome) for line in listener.wait()]
    assert sorted(str(value(one)) for one in outcomes) == ["30", "6", "hello"]


@pytest.mark.parametrize(
    "name",
    ["kitchen lamp", "no\xa0break", "wide\u3000blank", "👩\u200d🔬", "new \U0001fae9", "line\u2028end"],
)
def test_whatever_text_is_a_name(node: Program, request_id: str, name: str) -> None:
    outcome = request(node.port, f"fog/tasks/light/echo/{name}/{name} {request_id}", '"x"')
    assert (value(outcome), outcome.id) == ("x", f"{name} {request_id}")


def test_state_and_catalog_are_retained(node: Program) -> None:
    with listening(node.port, "fog/nodes/fog-a/state", count=1) as listener:
        state = msgspec.json.decode(listener.wait()[0])
    with listening(node.port, "fog/nodes/fog-a/catalog", count=1) as listener:
        catalog = msgspec.json.decode(listener.wait()[0])
    books = state["books"]
    assert state["online"] is True
    assert state["load"]["light"]["slots"] == 1
    ends = ("done", "failed", "expired", "cancelled", "rejected", "open")
    assert books["accepted"] == sum(books[end] for end in ends)
    shout = next(entry for entry in catalog["tasks"] if entry["task"] == "shout")
    assert shout["parameters"]["required"] == ["text"]
    assert shout["about"] == "Repeat a text in capitals."


def test_cancel_while_it_runs(node: Program, request_id: str) -> None:
    with (
        listening(node.port, f"fog/results/me/{request_id}", count=1) as results,
        listening(node.port, f"fog/progress/me/{request_id}", count=2) as progress,
    ):
        publish(node.port, f"fog/tasks/medium/sleep/me/{request_id}", "60", "-q", "1")
        progress.wait()
        publish(node.port, f"fog/cancel/me/{request_id}", "", "-q", "1")
        outcome = msgspec.json.decode(results.wait()[0])
    assert outcome["error"]["code"] == "cancelled"
    assert request(node.port, f"fog/tasks/medium/halves/me/{request_id}-after", "").ok


def test_a_task_that_waits_past_its_deadline_is_expired(node: Program, request_id: str) -> None:
    """With one worker for medium tasks, and its spare place taken too, a third one waits at the node."""
    for number in range(2):
        publish(node.port, f"fog/tasks/medium/sleep/me/{request_id}-{number}", "60", "-q", "1")
    outcome = request(
        node.port, f"fog/tasks/medium/sleep/me/{request_id}", '{"seconds": 1, "$deadline": 0.2}'
    )
    for number in range(2):
        publish(node.port, f"fog/cancel/me/{request_id}-{number}", "", "-q", "1")
    assert not isinstance(outcome.error, msgspec.UnsetType)
    assert outcome.error.code == "expired"
    assert outcome.total_ms >= 200


async def test_of_what_waits_at_a_node_the_earliest_deadline_goes_first(node: Program) -> None:
    ended: list[float | None] = []

    async def end(pending: Pending, deadline: float | None) -> None:
        assert (await pending.outcome(timeout=30)).ok
        ended.append(deadline)

    async with Device(node.url, name="patient") as device, asyncio.TaskGroup() as group:
        # Then it is known to take long, and none is given to the worker while another runs.
        await device.submit("medium", "sleep", 0.3)
        busy = await device.send("medium", "sleep", 60.0, progress=True)
        async for step in busy.progress():
            if step.stage is Stage.RUNNING:
                break
        for deadline in (None, 27.0, 15.0, 20.0):
            pending = await device.send("medium", "sleep", 0.01, deadline=deadline)
            group.create_task(end(pending, deadline))
        await device.cancel(busy.id)
    assert ended == [15.0, 20.0, 27.0, None]


def test_paho_over_tcp(node: Program, request_id: str) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    assert value(ask(lambda c: c.connect("127.0.0.1", node.port), client, request_id)) == 6


def test_steps_come_before_the_outcome_and_a_task_that_takes_a_while_is_told_as_accepted(
    node: Program, request_id: str
) -> None:
    """A short one need not be: its outcome comes at once."""
    heard: list[tuple[str, str]] = []
    subscribed, all_answered, marked = threading.Event(), threading.Event(), threading.Event()
    short, long = [f"short-{n}" for n in range(20)], [f"long-{n}" for n in range(3)]

    def on_message(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        _, kind, _, name = message.topic.split("/")
        heard.append((kind, name))
        if kind == "results" and name == "marker":
            marked.set()
        elif sum(kind == "results" for kind, _ in heard) == len(short) + len(long):
            all_answered.set()

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = on_message
    client.connect("127.0.0.1", node.port)
    client.loop_start()
    try:
        client.subscribe([(f"fog/{kind}/{request_id}/+", 1) for kind in ("progress", "results")])
        assert subscribed.wait(30)
        for name in short:
            client.publish(f"fog/tasks/light/echo/{request_id}/{name}", b"1", 1)
        for name in long:
            client.publish(f"fog/tasks/medium/sleep/{request_id}/{name}", b"0.2", 1)
        assert all_answered.wait(30)
        # Whatever strays behind an outcome comes before this.
        client.publish(f"fog/tasks/light/echo/{request_id}/marker", b"1", 1)
        assert marked.wait(30)
    finally:
        client.disconnect()
        client.loop_stop()
    for name in (*short, *long):
        kinds = [kind for kind, of in heard if of == name]
        assert kinds[-1] == "results"
        assert kinds.count("results") == 1
    assert all(("progress", name) in heard for name in long)
