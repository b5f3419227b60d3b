"""Rules as people write them."""

import tomllib
from typing import Any

import pytest

from broker.contract.topics import Weight
from fog_node.errors import RuleFault
from fog_node.rules.reading import read_rules, rules_of_tasks
from fog_node.rules.rule import Announcement, Cron, Every, Filter, Publish, Rule
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.task import task
from fog_tasks.errors import DeclarationError


def read(text: str) -> Rule:
    (found,) = read_rules(tomllib.loads(text)["rule"], source="home.toml")
    return found


WHOLE = """
[[rule]]
name = "plug-energy"
on = ["tele/{plug}/SENSOR", "every 1.5m", "cron */5  * * * *"]
task = "energy"
weight = "medium"
deadline = 2
max_hops = 3
arguments = { watts = "ENERGY.Power", zones = [1, 2] }
when = "ENERGY.Power > `5`"
changed = "POWER"
every = 10
at_most = "500ms"
id = "{payload:seq}"
retained = true
result = "home/energy"
on_error = "home/error"
publish = "outcome"
retain = true
qos = 0
announce = { platform = "sensor", unit = "W", device_class = "power", value_template = "{{ value }}" }
"""


def test_each_key_has_its_place_in_the_rule() -> None:
    assert read(WHOLE) == Rule(
        name="plug-energy",
        source="home.toml",
        on=(Filter("tele/{plug}/SENSOR"), Every(90.0), Cron("*/5 * * * *")),
        task="energy",
        weight=Weight.MEDIUM,
        deadline=2.0,
        max_hops=3,
        arguments={"watts": "ENERGY.Power", "zones": [1, 2]},
        when="ENERGY.Power > `5`",
        changed="POWER",
        every=10,
        at_most=0.5,
        id="{payload:seq}",
        retained=True,
        result="home/energy",
        on_error="home/error",
        publish=Publish.OUTCOME,
        retain=True,
        qos=0,
        announce=Announcement(
            platform="sensor",
            unit="W",
            device_class="power",
            more={"value_template": "{{ value }}"},
        ),
    )


@pytest.mark.parametrize(
    ("written", "seconds"), [("2.5", 2.5), ("'500ms'", 0.5), ("'5 s'", 5), ("'10m'", 600), ("'1h'", 3600)]
)
def test_durations_are_seconds_or_have_a_unit(written: str, seconds: float) -> None:
    assert read(f"[[rule]]\nname='a'\non='b'\ntask='c'\nat_most={written}").at_most == seconds


def test_a_topic_may_have_blanks() -> None:
    assert read("[[rule]]\nname='a'\non='my house/{room}'\ntask='c'").on == (Filter("my house/{room}"),)


def test_left_out_a_value_is_told_where_there_is_a_result_and_an_outcome_elsewhere() -> None:
    bare = "[[rule]]\nname='a'\non='b'\ntask='c'\n"
    assert not read(bare).tells_value
    assert read(f"{bare}result='d'").tells_value
    assert not read(f"{bare}result='d'\npublish='outcome'").tells_value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"resutl": "x"}, "key 'resutl' is unknown, 'result' may be meant; the keys are name, on, task, "),
        ({"name": "a/b"}, "name: 'a/b' contains one of / + #"),
        ({"name": 5}, "name: 5 is not text"),
        ({"name": ""}, "name: '' is not text"),
        ({"on": []}, "on: is empty"),
        ({"on": [5]}, "on: 5 is not text"),
        ({"on": "every minute"}, "on: 'minute' is no duration"),
        (
            {"on": "every 60"},
            "on: '60' is no duration above 0: write a number and its unit, as in \"every 60s\"; units are ",
        ),
        (
            {"at_most": "5"},
            "at_most: '5' is no duration above 0: write seconds without quotation marks, as in 2.5, or",
        ),
        ({"on": "every 0s"}, "on: '0s' is no duration"),
        ({"on": "cron * * *"}, "on: 'cron * * *' has not five fields"),
        ({"weight": "huge"}, "weight: 'huge' is not one of light, medium, heavy, auto"),
        ({"weight": ["light"]}, "weight: ['light'] is not one of light, medium, heavy, auto"),
        ({"deadline": -1}, "deadline: -1 is no duration above 0"),
        ({"deadline": True}, "deadline: True is no duration above 0"),
        ({"deadline": "5 apples"}, "deadline: '5 apples' is no duration above 0"),
        ({"max_hops": 17}, "max_hops: 17 is not a whole number from 0 to 16"),
        ({"every": 0}, "every: 0 is not a whole number from 1"),
        ({"every": 1.5}, "every: 1.5 is not a whole number from 1"),
        ({"arguments": ["a"]}, "arguments: ['a'] is no table"),
        ({"retained": "yes"}, "retained: 'yes' is not true or false"),
        ({"qos": 3}, "qos: 3 is not a whole number from 0 to 2"),
        ({"publish": "all"}, "publish: 'all' is not one of value, outcome"),
        ({"announce": {"unit": "W"}}, "announce: platform is missing"),
        ({"announce": {"platform": 5}}, "announce: 5 is not text"),
        ({"announce": {"platform": "switch"}, "result": "a"}, "announce: platform 'switch' is unknown"),
        ({"retain": True}, "retain: needs a result"),
        ({"publish": "value"}, 'publish: "value" needs a result'),
        ({"on": "every 5s", "when": "a"}, "when: is for messages"),
        ({"on": "every 5s", "retained": True}, "retained: is for messages"),
    ],
)
def test_a_wrong_key_is_refused_with_file_rule_key_and_what_is_allowed(
    change: dict[str, Any], said: str
) -> None:
    with pytest.raises(RuleFault) as caught:
        read_rules([{"name": "one", "on": "in/x", "task": "note"} | change], source="home.toml")
    name = change.get("name", "one")
    called = repr(name) if isinstance(name, str) and name else "1"
    assert str(caught.value).startswith(f"home.toml: rule {called}: {said}")


@pytest.mark.parametrize("key", ["name", "on", "task"])
def test_a_rule_has_at_least_a_name_a_trigger_and_a_task(key: str) -> None:
    written = {"name": "one", "on": "in/x", "task": "note"}
    del written[key]
    with pytest.raises(RuleFault) as caught:
        read_rules([written], source="home.toml")
    called = "1" if key == "name" else "'one'"
    assert str(caught.value).startswith(f"home.toml: rule {called}: {key} is missing")


@pytest.mark.parametrize("table", ["text", {"name": "one"}, ["text"]])
def test_what_is_no_list_of_tables_is_refused(table: Any) -> None:
    with pytest.raises(RuleFault) as caught:
        read_rules(table, source="home.toml")
    assert "under [[rule]]" in str(caught.value)


def test_a_task_may_say_what_starts_it() -> None:
    @task(on="tele/{plug}/SENSOR")
    def one(plug: str) -> None: ...
    @task(on=("in/+", "every 60s"), name="second")
    def two() -> None: ...
    @task
    def none() -> None: ...

    first, second = rules_of_tasks(Registry([one, two, none]))
    assert first == Rule(name="one", source=one.place, on=(Filter("tele/{plug}/SENSOR"),), task="one")
    assert (second.name, second.task, second.on) == ("second", "second", (Filter("in/+"), Every(60.0)))


def test_what_a_task_says_wrongly_is_told_with_its_place() -> None:
    @task(on="cron * *")
    def one() -> None: ...

    with pytest.raises(RuleFault) as caught:
        rules_of_tasks(Registry([one]))
    assert str(caught.value).startswith(f"{one.place}: rule 'one': on: ")
    with pytest.raises(DeclarationError):
        task(on=5)(lambda: None)  # type: ignore[call-overload]
    with pytest.raises(DeclarationError):
        task(on="")(lambda: None)
