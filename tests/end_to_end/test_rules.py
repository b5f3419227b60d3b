"""Devices that know nothing of tasks: what they publish becomes tasks by rules, on every engine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import Outcome, TaskError
from tests.support.command_lines import assert_refused, said_by
from tests.support.mosquitto import Mosquitto
from tests.support.mosquitto_clients import listening, publish
from tests.support.programs import EVERY_WEIGHT, Program, cloud_node, fog_node

RULES = ("--rules", "tests/end_to_end/rules.toml", "--tasks", "tests/end_to_end/rule_tasks.py")

SENSOR = (
    '{"Time":"2024-05-04T12:00:00","ENERGY":{"TotalStartTime":"2024-01-01T00:00:00","Total":3.185,'
    '"Yesterday":0.058,"Today":0.021,"Period":0,"Power":%d,"ApparentPower":9,"Voltage":231}}'
)
"""What a Tasmota plug publishes."""


@pytest.fixture(scope="module", params=["embedded", "external", "mosquitto", "amqtt"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A fog node with rules, on each engine; `external` is a Mosquitto elsewhere."""
    engine = request.param
    if engine == "external":
        mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
        engine = mosquitto.url
    folder = tmp_path_factory.mktemp("node")
    with fog_node(folder, *RULES, "--engine", engine, workers=EVERY_WEIGHT) as program:
        yield program


def outcome(message: bytes) -> Outcome:
    return msgspec.json.decode(message, type=Outcome)


def test_a_tasmota_plug_is_answered_on_a_topic_of_its_own(node: Program) -> None:
    with listening(node.port, "home/plug1/energy", count=1) as results:
        publish(node.port, "tele/plug1/SENSOR", SENSOR % 2, "-q", "1")
        publish(node.port, "tele/plug1/SENSOR", SENSOR % 7, "-q", "1")
        (message,) = results.wait()
    assert msgspec.json.decode(message) == {"watts": 7, "plug": "plug1"}


def test_text_is_taken_and_told_as_it_is_and_kept_for_who_comes_later(node: Program) -> None:
    with listening(node.port, "home/plug1/power", count=1) as results:
        publish(node.port, "stat/plug1/POWER", "ON", "-q", "1")
        assert results.wait() == [b"ON"]
    with listening(node.port, "home/plug1/power", count=1) as results:
        assert results.wait() == [b"ON"]


def test_what_goes_wrong_is_told_where_the_rule_says(node: Program) -> None:
    with listening(node.port, "wrong/d1", count=2) as wrong:
        publish(node.port, "strict/d1", '["a"]', "-q", "1")
        publish(node.port, "strict/d1", "[1,", "-q", "1")
        errors = [outcome(one).error for one in wrong.wait()]
    assert [one.code for one in errors if isinstance(one, TaskError)] == ["bad-arguments", "bad-payload"]


def test_a_message_that_was_numbered_by_its_device_is_answered_once(node: Program) -> None:
    with listening(node.port, "home/m1/value", count=2) as results:
        for seq in (1, 1, 1, 2):
            publish(node.port, "meter/m1", f'{{"seq": {seq}, "value": {10 * seq}}}', "-q", "1")
        assert [msgspec.json.decode(one) for one in results.wait()] == [{"value": 10}, {"value": 20}]


def test_rules_lead_from_light_over_medium_to_heavy(node: Program) -> None:
    with listening(node.port, "told/+", count=2) as told:
        publish(node.port, "cam/c1/image", '{"size": 5}', "-q", "1")
        publish(node.port, "cam/c2/image", '{"size": 1}', "-q", "1")
        assert sorted(told.wait()) == [b"a cat at c1", b"a mouse at c2"]


def test_a_rule_may_stand_at_its_task(node: Program) -> None:
    with listening(node.port, "fog/results/shout/+", count=1) as results:
        publish(node.port, "cam/door/moved", "", "-q", "1")
        (message,) = results.wait()
    assert outcome(message).value == msgspec.Raw(b'"door moved"')


def test_the_clock_starts_a_rule_again_and_again(node: Program) -> None:
    with listening(node.port, "clock/tick", count=3) as ticks:
        assert ticks.wait() == [b'{"tick":1}'] * 3


def test_an_order_of_the_contract_stays_one(node: Program) -> None:
    with listening(node.port, "fog/results/me/by-hand", count=1) as results:
        publish(node.port, "fog/tasks/light/sum/me/by-hand", "[1,2]", "-q", "1")
        assert outcome(results.wait()[0]).value == msgspec.Raw(b"3")


def test_what_was_retained_before_a_rule_heard_it_starts_only_rules_that_want_it(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """On the broker elsewhere, which had it before the node came."""
    publish(mosquitto.port, "kept/lamp", "old", "-q", "1", "-r")
    publish(mosquitto.port, "stat/lamp/POWER", "OLD", "-q", "1", "-r")
    with (
        listening(mosquitto.port, "home/lamp/+", count=2) as results,
        fog_node(tmp_path, *RULES, "--engine", mosquitto.url, name="fog-r", workers="light=1"),
    ):
        publish(mosquitto.port, "stat/lamp/POWER", "NEW", "-q", "1")
        assert sorted(results.wait()) == [b"NEW", b"old"]


def test_a_chain_goes_on_where_a_kill_has_ended_it(tmp_path: Path) -> None:
    """One message, three tasks, a kill during the second of them: and one answer."""
    gate = tmp_path / "slow"
    gate.touch()
    with fog_node(tmp_path, *RULES, workers=EVERY_WEIGHT) as node:
        with listening(node.port, "fog/progress/detect/+", count=2) as progress:
            publish(node.port, "cam/c1/image", f'{{"size": 5, "slow": "{gate}"}}', "-q", "1")
            progress.wait()
        node.kill()
    with (
        fog_node(tmp_path, *RULES, workers=EVERY_WEIGHT) as node,
        listening(node.port, "told/+", count=2) as told,
    ):
        gate.unlink()
        # Heard after it, which would not be so if there were two answers to the first one.
        publish(node.port, "cam/c2/image", '{"size": 1}', "-q", "1")
        assert sorted(told.wait()) == [b"a cat at c1", b"a mouse at c2"]


PING = """
[[rule]]
name = "{name}"
on = "{on}/{{x}}"
task = "echo"
result = "{result}/{{x}}"
on_error = "bad/{{x}}"
"""


def test_a_circle_over_two_nodes_ends_after_so_many_rules(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Neither can see it in its own rules; their broker carries from one to the other how far it has come."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for name, other in (("ping", "pong"), ("pong", "ping")):
            file = tmp_path / f"{name}.toml"
            file.write_text(PING.format(name=name, on=name, result=other))
            options = ("--rules", str(file), "--engine", mosquitto.url)
            nodes.append(stack.enter_context(fog_node(tmp_path, *options, name=name, workers="light=1")))
        with listening(mosquitto.port, "+/round", count=17) as heard:
            publish(mosquitto.port, "ping/round", "1", "-q", "1")
            assert len(heard.wait()) == 17
        # The first rule hears that it is the seventeenth.
        nodes[0].wait_for_log("rules_in_a_circle")


STEPS = """
[[rule]]
name = "first"
on = "{first}/{{x}}"
task = "echo"
result = "{second}/{{x}}"
on_error = "bad/{{x}}"

[[rule]]
name = "second"
on = "{second}/{{x}}"
task = "echo"
result = "{last}/{{x}}"
on_error = "bad/{{x}}"
"""


def each_once(port: int, topic: str, answered: str) -> None:
    """Publish some messages, and see that each is answered: were one so twice, another would be missing."""
    with listening(port, f"{answered}/+", count=20, shown="%t") as heard:
        for number in range(20):
            publish(port, f"{topic}/{number}", "1", "-q", "1")
        assert set(heard.wait()) == {f"{answered}/{number}".encode() for number in range(20)}


def test_gateways_that_share_a_broker_answer_each_message_once(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(STEPS.format(first="shared", second="half", last="whole"))
    options = ("--rules", str(file), "--engine", mosquitto.url, "--workers", "light=1")
    with contextlib.ExitStack() as stack:
        for name in ("gate-1", "gate-2"):
            stack.enter_context(
                cloud_node(tmp_path, *options, "--name", name, "--data", str(tmp_path / name))
            )
        each_once(mosquitto.port, "shared", "whole")


def test_a_broker_of_mqtt_3_1_1_leads_no_step_to_be_taken_twice(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(STEPS.format(first="three", second="three-half", last="three-whole"))
    options = ("--rules", str(file), "--engine", mosquitto.url, "--mqtt", "3")
    with fog_node(tmp_path, *options, name="fog-3"):
        each_once(mosquitto.port, "three", "three-whole")


@pytest.mark.parametrize(
    ("rule", "parts"),
    [
        ('name = "x"\non = "t/+"\ntask = "nothing"', ["'x'", "no task 'nothing'"]),
        ('name = "x"\non = "cron 99 * * * *"\ntask = "sum"', ["'x'", "no crontab"]),
        ('name = "x"\non = "a/{b}"\ntask = "echo"\nresult = "a/{b}"', ["'x'", "circle"]),
    ],
)
def test_a_wrong_rule_is_refused_at_the_start(tmp_path: Path, rule: str, parts: list[str]) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(f"[[rule]]\n{rule}\n")
    assert_refused(
        said_by("fog_node", "--data", str(tmp_path), "--rules", str(file)), str(file), *parts, status=1
    )
