"""What examples/zigbee2mqtt_home_assistant/README.md shows, with Home Assistant listening."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.home_assistant import DISCOVERY, HomeAssistant
from tests.support.mosquitto_clients import listening
from tests.support.pages import in_a_shell, options, run, shown
from tests.support.programs import Program, fog_node

PAGE = "examples/zigbee2mqtt_home_assistant/README.md"
SENSOR, LAMP = (command for command, _ in shown(PAGE, "mosquitto_pub"))
HEARD = shown(PAGE, "mosquitto_sub")[0][1]


@pytest.fixture(params=["embedded", "mosquitto"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    tasks = options(PAGE, "fog-node", "--tasks", "--rules")
    with fog_node(tmp_path, *tasks, "--engine", request.param, name="kitchen") as program:
        yield program


def announced(home: HomeAssistant) -> dict[str, Any]:
    """What Home Assistant is told of the next thing, whose unique id is in the topic."""
    message = home.next()
    found: dict[str, Any] = json.loads(message.payload)
    prefix, platform, unique_id, config = message.topic.split("/")
    assert (prefix, unique_id, config) == ("homeassistant", found["unique_id"], "config")
    return {**found, "platform": platform, "retained": message.retain}


def test_a_sensors_message_is_answered_and_home_assistant_shows_it(node: Program, tmp_path: Path) -> None:
    with HomeAssistant(node.port, DISCOVERY) as home:
        with listening(node.port, "home/#", count=len(HEARD), shown="%t %p") as heard:
            in_a_shell(LAMP, node.port, tmp_path)
            in_a_shell(SENSOR, node.port, tmp_path)
            assert sorted(line.decode() for line in heard.wait()) == sorted(HEARD)
        found = {one["state_topic"]: one for one in (announced(home), announced(home))}
        dew_point, mould = found["home/bathroom/dew_point"], found["home/bathroom/mould"]
        assert (dew_point["platform"], dew_point["unit_of_measurement"]) == ("sensor", "°C")
        assert (mould["platform"], mould["device_class"]) == ("binary_sensor", "problem")
        # Two entities of one thing, which is away while the node is.
        assert dew_point["device"] == mould["device"]
        assert dew_point["device"]["name"] == "bathroom"
        assert dew_point["availability_topic"] == "fog/nodes/kitchen/state"
        # The same once more is no news.
        in_a_shell(SENSOR, node.port, tmp_path)
        in_a_shell(SENSOR.replace("bathroom", "attic"), node.port, tmp_path)
        assert "attic" in announced(home)["unique_id"]


def test_whoever_comes_later_is_told_too_until_the_rule_has_gone(tmp_path: Path) -> None:
    """Only what is announced no more is cleared."""
    tasks, rules = (options(PAGE, "fog-node", one) for one in ("--tasks", "--rules"))
    kept = tmp_path / "rules.toml"
    kept.write_text(Path(rules[1]).read_text("utf-8").partition('[[rule]]\nname = "mould"')[0], "utf-8")
    with fog_node(tmp_path, *tasks, *rules) as node:
        with listening(node.port, "home/#", count=2) as heard:
            in_a_shell(SENSOR, node.port, tmp_path)
            heard.wait()
        with HomeAssistant(node.port, DISCOVERY) as home:
            before = [announced(home), announced(home)]
            assert all(one["retained"] for one in before)
        assert node.terminate() == 0
    with (
        fog_node(tmp_path, *tasks, "--rules", str(kept)) as node,
        HomeAssistant(node.port, DISCOVERY) as home,
    ):
        assert sorted(one["name"] for one in before) == ["Dew point", "Mould"]
        # What this life announces comes after all that the broker has kept.
        in_a_shell(SENSOR, node.port, tmp_path)
        after = [announced(home), announced(home)]
    assert [(one["name"], one["retained"]) for one in after] == [("Dew point", True), ("Dew point", False)]


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
def test_with_users_each_has_its_topics_and_no_others(tmp_path: Path, engine: str) -> None:
    """The availability too: the state of the node is for everybody."""
    for command, _ in shown(PAGE, "fog-broker"):
        run(f"{command} --mosquitto", tmp_path, typed="secret\n")
    tasks = options(PAGE, "fog-node", "--tasks", "--rules")
    users = ("--users", str(tmp_path / "users.toml"), "--engine", engine)
    with (
        fog_node(tmp_path, *tasks, *users, name="kitchen") as node,
        HomeAssistant(
            node.port, (*DISCOVERY, "fog/nodes/+/state"), login=("homeassistant", "secret")
        ) as home,
        listening(node.port, "home/#", *login("homeassistant"), count=2, shown="%t %p") as heard,
    ):
        in_a_shell(f"{SENSOR} {' '.join(login('homeassistant'))}", node.port, tmp_path)
        in_a_shell(
            f"{SENSOR.replace('bathroom', 'attic')} {' '.join(login('zigbee2mqtt'))}", node.port, tmp_path
        )
        assert sorted(line.decode() for line in heard.wait()) == [
            one.replace("bathroom", "attic") for one in HEARD
        ]
        topics = set[str]()
        while len(topics) < 3:  # a state comes every second
            topics.add(home.next().topic)
    assert {topic.rpartition("__")[2] for topic in topics} == {
        "fog/nodes/kitchen/state",
        "dew_5fpoint/config",
        "mould/config",
    }


def login(name: str) -> tuple[str, ...]:
    return ("-u", name, "-P", "secret")
