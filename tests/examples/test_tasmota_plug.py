"""What examples/tasmota_plug/README.md shows: what a plug publishes is answered, and the plug is switched."""

from pathlib import Path

from tests.support.mosquitto_clients import listening
from tests.support.pages import in_a_shell, options, run, shown
from tests.support.programs import REPOSITORY, fog_node

PAGE = "examples/tasmota_plug/README.md"


def test_what_the_plug_publishes_prints_what_the_page_says(tmp_path: Path) -> None:
    ((_, printed),) = shown(PAGE, "mosquitto_sub")
    published = shown(PAGE, "mosquitto_pub")
    assert (len(published), len(printed)) == (3, 7)
    with (
        fog_node(tmp_path, *options(PAGE, "fog-node", "--tasks", "--rules")) as node,
        listening(node.port, "home/#", "-t", "cmnd/#", count=len(printed), shown="%t %p") as heard,
    ):
        for command, _ in published:
            in_a_shell(command, node.port, tmp_path)
        assert sorted(line.decode() for line in heard.wait()) == sorted(printed)


def test_the_trial_prints_what_the_page_says() -> None:
    ((command, printed),) = [
        one for one in shown(PAGE, "fog-node") if one[0].startswith("fog-node rules try")
    ]
    assert run(command, REPOSITORY).splitlines() == printed


def test_the_last_value_is_there_for_whoever_comes_later(tmp_path: Path) -> None:
    (publish, _), *_ = shown(PAGE, "mosquitto_pub")
    with fog_node(tmp_path, *options(PAGE, "fog-node", "--tasks", "--rules")) as node:
        with listening(node.port, "home/plug1/energy", count=1) as heard:
            in_a_shell(publish, node.port, tmp_path)
            (first,) = heard.wait()
        with listening(node.port, "home/plug1/energy", count=1) as heard:
            assert heard.wait() == [first]
