"""The short form of `make chaos`, and proof that its ledger sees what it is there to see."""

from pathlib import Path

import pytest

from broker.contract.messages import Books, ErrorCode, Outcome, TaskError
from tests.chaos.cluster import KINDS
from tests.chaos.ledger import Ledger, Struck, answer_of
from tests.chaos.run import Plan, Verdict, run
from tests.chaos.schedule import Fault, schedule

TASKS = 300
"""A tenth of a second of work for each fault; `make chaos` has forty times as many."""


SHORT = {
    "embedded": set(KINDS["embedded"]) - {Fault.CLOUD_SERVICE, Fault.NEIGHBOUR_SERVICE},
    "mosquitto": {Fault.ENGINE, Fault.NODE, Fault.NODE_STOP, Fault.NODE_SERVICE},
    "external": {Fault.NODE, Fault.NODE_STOP, Fault.NODE_SERVICE},
}
"""All that can happen, once with one engine, and with the others what concerns them."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("engine", "rules"),
    [*((engine, False) for engine in sorted(SHORT)), ("embedded", True)],
    ids=lambda one: {False: "tasks", True: "rules"}.get(one, one),
)
async def test_nothing_is_lost_whatever_is_killed_or_told_to_stop(
    engine: str, rules: bool, tmp_path: Path
) -> None:
    kinds = SHORT[engine]
    plan = Plan(tasks=TASKS, faults=len(kinds), interval=0.7, seed=7, engine=engine, rules=rules, kinds=kinds)
    verdict = await run(plan, tmp_path)
    assert verdict.faults() == []
    assert {one.fault for one in verdict.ledger.struck} == kinds
    assert len(verdict.ledger.answers) == TASKS


def test_every_kind_of_fault_comes_before_one_comes_again() -> None:
    blows = schedule(list(Fault), 2 * len(Fault), interval=2.0, seed=3)
    assert {blow.fault for blow in blows[: len(Fault)]} == set(Fault)
    assert all(1.0 <= blow.pause <= 3.0 for blow in blows)
    assert blows == schedule(list(Fault), 2 * len(Fault), interval=2.0, seed=3)


def well() -> Verdict:
    """A verdict on one task that went well."""
    ledger = Ledger(submitted={"a/1": 1.0}, acknowledged={"a/1": 1.1})
    ledger.answers["a/1"].append((1.2, (True, b"1")))
    return Verdict(ledger, {"a/1": [1.15]}, {"fog-a": Books(accepted=1, done=1)})


def test_the_ledger_finds_no_fault_where_there_is_none() -> None:
    assert well().faults() == []


def test_the_ledger_sees_an_acknowledged_task_without_an_answer() -> None:
    verdict = well()
    verdict.ledger.answers.clear()
    assert verdict.faults() == ["acknowledged and never answered: 1, such as ['a/1']"]


def test_the_ledger_sees_two_answers_that_differ_and_not_two_that_do_not() -> None:
    verdict = well()
    verdict.ledger.answers["a/1"].append((1.3, (True, b"1")))
    assert verdict.faults() == []
    verdict.ledger.answers["a/1"].append((1.4, (True, b"2")))
    assert verdict.faults() == ["answered in different ways: 1, such as ['a/1']"]


def test_the_ledger_sees_a_task_that_was_told_twice_unless_its_broker_died() -> None:
    verdict = well()
    verdict.ledger.forgotten_by = (Fault.ENGINE,)
    verdict.ledger.told["a/1"] += [1.2, 1.3]
    assert verdict.faults() == ["answered twice, and not as one told again: 1, such as ['a/1']"]
    verdict.ledger.struck.append(Struck(Fault.NODE, 1.25, 1.26, 1))
    assert len(verdict.faults()) == 1
    verdict.ledger.struck.append(Struck(Fault.ENGINE, 1.25, 1.26, 1))
    assert verdict.faults() == []


def test_the_ledger_sees_a_task_that_ran_twice_without_a_fault_between() -> None:
    verdict = well()
    verdict.executions["a/1"].append(9.0)
    assert verdict.faults() == ["executed again without a fault between: 1, such as ['a/1']"]
    verdict.ledger.struck.append(Struck(Fault.WORKER, 3.0, 3.1, 1))
    assert verdict.faults() == []
    assert verdict.ledger.rows(verdict.executions) == [("a whole worker", 1, 1.0, 0.0, 1)]


def test_the_ledger_sees_books_that_do_not_balance() -> None:
    verdict = well()
    wrong = Verdict(verdict.ledger, verdict.executions, {"fog-a": Books(accepted=2, done=1)})
    assert wrong.faults()[0].startswith("the books of fog-a do not balance")


def test_an_error_is_told_from_a_value() -> None:
    bad = Outcome(ok=False, error=TaskError(ErrorCode.FAILED, "no"), id="1", node="fog-a", route=("fog-a",))
    assert answer_of(bad) == (False, "failed")
