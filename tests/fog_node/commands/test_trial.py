"""What a message would start, rule by rule."""

import tomllib
from typing import Annotated, Any

import msgspec
import pytest

from fog_node.commands.trial import Trial, trials
from fog_node.rules.reading import read_rules
from fog_tasks import Task, task

RULES = r"""
[[rule]]
name = "mean-of-room"
on = "sensors/{room}/window"
when = "readings"
task = "mean"
arguments = { readings = "readings", place = "the {room}" }
id = "{room}-{payload:seq}"
result = "home/{room}/mean"
on_error = "home/{room}/error"
changed = "readings"
every = 10
at_most = "5s"

[[rule]]
name = "all-of-it"
on = "sensors/#"
task = "keep"
weight = "heavy"

[[rule]]
name = "shrink"
on = "seen/{device}"
task = "shrink"
"""
WINDOW = b'{"seq": 7, "firmware": "1.2", "readings": [20.5, 21.5]}'


@task(weight="medium")
def mean(readings: Annotated[list[float], msgspec.Meta(min_length=1)], place: str = "here") -> float:
    return sum(readings) / len(readings)


@task
def keep(**named: Any) -> None: ...


@task(roles=("operator", "device"))
def shrink(photo: bytes) -> bytes:
    return photo


def tried(topic: str, payload: bytes) -> list[Trial]:
    tasks: dict[str, Task[..., Any]] = {one.name: one for one in (mean, keep, shrink)}
    return trials(read_rules(tomllib.loads(RULES)["rule"], source="home.toml"), tasks, topic, payload)


def test_all_that_a_rule_would_submit_is_told() -> None:
    """What depends on earlier messages is only named."""
    assert tried("sensors/kitchen/window", WINDOW)[0] == Trial(
        rule="mean-of-room",
        source="home.toml",
        task="mean",
        weight=mean.weight,
        device="mean-of-room",
        id="kitchen-7",
        arguments=msgspec.Raw(b'{"readings":[20.5,21.5],"place":"the kitchen"}'),
        value_to="home/kitchen/mean",
        failure_to="home/kitchen/error",
        unless=["readings is what it was", "it is not one in 10", "one has come in the last 5 s"],
    )


def test_each_rule_on_the_topic_is_told_in_the_order_in_which_they_are_written() -> None:
    """One without a topic of its own tells whole outcomes where the contract has them."""
    first, other = tried("sensors/kitchen/window", WINDOW)
    assert (first.rule, other.rule, other.weight) == ("mean-of-room", "all-of-it", "heavy")
    assert msgspec.json.decode(other.arguments) == msgspec.json.decode(WINDOW)
    assert other.outcome_to == other.failure_to == "fog/results/all-of-it/<made by the node>"


def test_bytes_are_counted_and_roles_are_named() -> None:
    (found,) = tried("seen/yard", b"\xff\xd8\n\0")
    assert (found.arguments, found.roles, found.device) == ("4 bytes", ["device", "operator"], "yard")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"{}", "when = readings does not hold: readings finds nothing in the payload"),
        (b'{"readings": []}', "when = readings does not hold: readings is []"),
        (
            b'{"readings": ["warm"], "seq": 1}',
            "bad-arguments: mean: parameter 'readings[0]': expected `float`",
        ),
        (b'{"readings": [1]}', "bad-payload: the payload has nothing for {payload:seq}"),
        (b"{", "bad-payload: not JSON"),
    ],
)
def test_why_a_rule_would_start_nothing_is_told(payload: bytes, sentence: str) -> None:
    found = tried("sensors/kitchen/window", payload)[0]
    assert (sentence in found.not_because, found.starts) == (True, False)


METER = """
[[rule]]
name = "meter"
on = "meter/{room}"
task = "mean"
"""


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("when = 'Power > `5`'", 'when = Power > `5` does not hold: Power is "63"'),
        ("when = 'power > `5`'", "when = power > `5` does not hold: power finds nothing in the payload"),
        ("changed = 'E.power'", "changed = E.power does not hold: E.power finds nothing in the payload"),
        (
            "arguments = { readings = 'E.power' }",
            "bad-arguments: readings = E.power finds nothing in the payload",
        ),
    ],
)
def test_what_finds_nothing_in_the_message_is_named(keys: str, why: str) -> None:
    rules = read_rules(tomllib.loads(METER + keys)["rule"], source="home.toml")
    (found,) = trials(rules, {"mean": mean}, "meter/hall", b'{"Power":"63","E":{"Power":63}}')
    assert found.not_because == why


def test_an_argument_for_which_nothing_is_found_is_shown_as_left_out() -> None:
    keys = "arguments = { readings = '[Power]', place = 'hall' }"
    rules = read_rules(tomllib.loads(METER + keys)["rule"], source="home.toml")
    (found,) = trials(rules, {"mean": mean}, "meter/hall", b'{"Power":63}')
    assert (found.starts, found.arguments) == (True, msgspec.Raw(b'{"readings":[63]}'))
    sentence = "place = hall finds nothing in the payload; for the text itself write \"'hall'\""
    assert found.left_out == [sentence]


def test_a_topic_of_no_rule_has_no_trial() -> None:
    assert tried("attic", b"ON") == []
