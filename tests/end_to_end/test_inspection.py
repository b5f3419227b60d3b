"""`fog-node peers`, `fog-node explain` and `fog-node rules` ask a running node."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_lines import said_by
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import request
from tests.support.programs import EVERY_WEIGHT, Program, fog_node


@dataclass(frozen=True)
class Pair:
    """Node fog-a with its data folder, and its neighbour fog-b."""

    folder: Path
    first: Program
    other: Program


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A second neighbour and the cloud are never there."""
    folder = tmp_path_factory.mktemp("pair")
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    with fog_node(folder, name="fog-b", workers=EVERY_WEIGHT) as other:
        links = ("--neighbour", other.url, "--neighbour", nobody, "--cloud", nobody)
        with fog_node(
            folder, *links, "--log-level", "debug", "--log-format", "json", workers=EVERY_WEIGHT
        ) as first:
            yield Pair(folder / "fog-a", first, other)


def answer(*arguments: str) -> Any:
    done = said_by("fog_node", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_peers_are_shown_with_their_state_and_waits(pair: Pair) -> None:
    data, other = ("--data", str(pair.folder)), pair.other
    await eventually(
        lambda: [one["state"] for one in answer("peers", *data)["peers"]] == ["there", "never heard", "away"],
        timeout=20,
    )
    there, never, cloud = answer("peers", *data)["peers"]
    assert (there["name"], there["place"], there["link"]) == ("fog-b", f"127.0.0.1:{other.port}", True)
    # Seconds, not milliseconds, and not since the start of the machine.
    assert 0 <= there["age_s"] < 30
    assert set(there["waits"]) == {"light", "medium", "heavy"}
    assert (never["name"], never["link"]) == ("", False)
    assert (cloud["name"], cloud["link"]) == ("cloud", False)
    shown = said_by("fog_node", "peers", *data).stdout
    assert "fog-b" in shown
    assert "never heard" in shown


async def test_a_placement_is_explained_candidate_by_candidate(pair: Pair) -> None:
    data = ("--data", str(pair.folder))
    found = answer("explain", *data, "--weight", "medium", "--task", "sum", "--deadline", "2")
    here, neighbour, cloud = found["candidates"]
    assert (here["node"], here["chosen"], here["verdict"]) == (
        "fog-a",
        True,
        "nearest that meets the deadline",
    )
    assert (neighbour["node"], neighbour["chosen"]) == ("fog-b", False)
    assert (cloud["place"], cloud["verdict"]) == ("cloud", "has no workers for medium tasks")
    assert "a slot is free here" in said_by("fog_node", "explain", *data, "--task", "sum").stdout


async def test_a_node_logs_why_it_has_placed_a_task_where_it_is_asked_to(pair: Pair) -> None:
    # Until then it is no candidate.
    await eventually(lambda: "the node is new" in pair.first.stderr)
    assert request(pair.first.port, "fog/tasks/medium/sum/me/logged", "[1]").ok
    # What `explain` was asked is not placed, and not logged as if it were.
    await eventually(lambda: '"placed"' in pair.first.stderr)
    (told,) = [json.loads(line) for line in pair.first.stderr.splitlines() if '"placed"' in line]
    assert (told["id"], told["task"], told["why"]) == ("logged", "sum", "a slot is free here")
    assert [one["node"] for one in told["candidates"]] == ["fog-a", "fog-b", "cloud"]
    assert {"wait_ms", "run_ms", "transfer_ms", "age_ms", "verdict"} <= set(told["candidates"][0])


async def test_a_task_that_the_node_does_not_have_is_not_explained(pair: Pair) -> None:
    done = said_by("fog_node", "explain", "--data", str(pair.folder), "--task", "summ")
    assert (done.returncode, done.stderr) == (1, "error: this node has no task 'summ'\n")


async def test_a_node_without_rules_says_so(pair: Pair) -> None:
    data = ("--data", str(pair.folder))
    assert (answer("rules", *data), said_by("fog_node", "rules", *data).stdout) == (
        {"rules": []},
        "no rules\n",
    )


@pytest.mark.parametrize("which", ["peers", "explain", "rules"])
def test_a_node_that_does_not_run_is_told_in_a_sentence(which: str, tmp_path: Path) -> None:
    done = said_by("fog_node", which, "--data", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: no running node answers at")
    assert "Traceback" not in done.stderr


def test_a_weight_that_nothing_runs_with_is_refused(tmp_path: Path) -> None:
    done = said_by("fog_node", "explain", "--data", str(tmp_path), "--weight", "auto")
    assert (done.returncode, "light, medium, heavy" in done.stderr) == (1, True)
