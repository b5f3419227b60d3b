"""A user's policy that fails: the default decides, and the fault is told once."""

import random
import sys
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from broker.contract.topics import Weight
from broker.errors import SettingsError
from fog_node.placement import Decision, Place, Probe, Situation, Work, load_policy
from tests.fog_node.placement.policies.situations import around, here, medium, near

MODULE = "tests.fog_node.placement.policies.broken_policies"
VISITED = Work(weight=Weight.MEDIUM, hops_left=1, visited=("b",))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("raises", "it raised KeyError: 'wait'"),
        ("leaves", "it raised SystemExit: 3"),
        ("forgets", "it returned NoneType"),
        ("names", "it returned str"),
        ("invents", "it chose none of the candidates"),
        ("gives_up", "it chose none of the candidates"),
        ("goes_back", "it chose b, which was visited"),
        ("asks_nobody", "it asks nodes that are no neighbours"),
    ],
)
def test_where_a_policy_fails_the_default_decides_and_the_fault_is_told_once(
    function: str, words: str
) -> None:
    policy = load_policy(f"{MODULE}:{function}")
    with capture_logs() as logs:
        found = [policy(VISITED, around(here(), near("b")), random.Random(1)) for _ in range(3)]
    assert [isinstance(one, Decision) and one.place for one in found] == [Place.HERE] * 3
    assert isinstance(found[0], Decision)
    assert found[0].why.endswith("(the node's own policy failed)")
    assert [line["event"] for line in logs] == ["policy_failed"]
    assert words in logs[0]["reason"]


def test_a_policy_that_asks_on_and_on_is_asked_no_more() -> None:
    policy = load_policy(f"{MODULE}:asks_on")
    assert policy(medium(), around(here(), near("b")), random.Random(1)) == Probe(("b",))
    asked = Situation(here=here(), neighbours=(near("b"),), probed=("b",))
    found = policy(medium(), asked, random.Random(1))
    assert isinstance(found, Decision)
    assert found.place is Place.HERE


def test_that_there_is_no_place_is_an_answer_where_there_is_none() -> None:
    nothing = Situation(here=msgspec.structs.replace(here(), slots=0))
    with capture_logs() as logs:
        found = load_policy(f"{MODULE}:gives_up")(medium(), nothing, random.Random(1))
    assert found == Decision(None, "no idea", nothing)
    assert logs == []


@pytest.mark.parametrize("function", ["takes_one", "waits"])
def test_what_does_not_take_the_arguments_of_a_policy_is_refused_at_the_start(function: str) -> None:
    with pytest.raises(SettingsError, match="it takes a task, a situation and a chance"):
        load_policy(f"{MODULE}:{function}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f(:", "SyntaxError"),
        ("raise RuntimeError('out of order')", "RuntimeError: out of order"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
    ],
)
def test_a_module_in_the_current_folder_that_cannot_be_imported_is_told_in_one_sentence(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_policies.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with pytest.raises(SettingsError, match=f"'bad_policies' cannot be imported: {words}"):
        load_policy("bad_policies:f")
