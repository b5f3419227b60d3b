import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import ErrorCode, Outcome, TaskError
from device_sim.fleet.report import FleetReport, Tally, loss_sentence, percentile
from device_sim.fleet.screen import final_table, make_console


def outcome(ran_ms: float = 0.0, route: tuple[str, ...] = ("cloud", "fog-a"), **more: Any) -> Outcome:
    given: dict[str, Any] = {"ok": True, "value": msgspec.Raw(b"1"), **more}
    return Outcome(id="1", task="sum", node="fog-a", route=route, ran_ms=ran_ms, **given)


def failed(code: ErrorCode) -> Outcome:
    return outcome(ok=False, value=msgspec.UNSET, error=TaskError(code, "why"))


@pytest.mark.parametrize(
    ("numbers", "percent", "expected"),
    [([], 50, None), ([7], 1, 7), ([7], 99, 7), ([1, 2], 50, 1), ([1, 2, 3], 50, 2), (range(1, 101), 95, 95)],
)
def test_percentiles_are_nearest_rank(numbers: list[float], percent: float, expected: float | None) -> None:
    assert percentile(numbers, percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(1, 100))
def test_a_percentile_is_one_of_the_numbers_that_enough_others_do_not_exceed(
    numbers: list[float], percent: float
) -> None:
    found = percentile(sorted(numbers), percent)
    assert found is not None
    assert found in numbers
    assert sum(one <= found for one in numbers) >= math.floor(percent / 100 * len(numbers))


def test_in_time_by_both_definitions() -> None:
    tally = Tally(requirement=2.0)
    for response in (1.9, 2.0, 3.0, 3.3):
        tally.add_sent()
        tally.add_outcome(outcome(ran_ms=1200), response)
    report = tally.report()
    assert report.in_time == 2
    # 3.0 - 1.2 waited within 2 s, 3.3 - 1.2 did not.
    assert report.in_time_original == 3


def test_the_books_balance_and_times_are_of_done_tasks_only() -> None:
    tally = Tally(requirement=0.2)
    for _ in range(7):
        tally.add_sent()
    tally.add_outcome(outcome(), 0.1)
    tally.add_outcome(outcome(route=()), 0.3)
    tally.add_outcome(failed(ErrorCode.OVERLOADED), 0.001)
    tally.add_outcome(failed(ErrorCode.OVERLOADED), 0.001)
    tally.add_unreadable()
    tally.add_lost()
    report = tally.report()
    assert (report.sent, report.answered, report.done, report.lost, report.open) == (7, 5, 2, 1, 1)
    assert report.failed == {"overloaded": 2, "unreadable": 1}
    assert report.sent == report.done + sum(report.failed.values()) + report.lost + report.open
    assert (report.mean_ms, report.p50_ms, report.p99_ms) == (200, 100, 300)
    assert report.ran_at == {"cloud": 1, "fog-a": 1}


def fleet_report(**tallies: Tally) -> FleetReport:
    return FleetReport(
        nodes=("mqtt://a",),
        devices=3,
        seconds=60,
        seed=1,
        pace="regular",
        interrupted=False,
        send_lag_p99_ms=None,
        weights={name: tally.report() for name, tally in tallies.items()},
    )


def test_what_was_lost_is_said_by_weight() -> None:
    report = fleet_report(
        light=Tally(0.2, sent=10, lost=2), medium=Tally(2, sent=5), heavy=Tally(5, sent=1, lost=1)
    )
    assert report.lost == 3
    assert loss_sentence(report) == "3 of 16 tasks were sent and never answered: 2 light, 1 heavy."


def test_a_report_of_nothing_has_no_times() -> None:
    report = fleet_report(light=Tally(0.2))
    assert report.weights["light"].mean_ms is None
    assert report.lost == 0


def test_the_table_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(requirement=0.2)
    for response in (0.0123, 1.5):
        tally.add_sent()
        tally.add_outcome(outcome(), response)
    tally.add_sent()
    tally.add_outcome(failed(ErrorCode.EXPIRED), 1.0)
    make_console().print(final_table(fleet_report(light=tally)))
    words = capsys.readouterr().out
    assert "3 devices at 1 node for 60 s" in words
    for cell in ("12.3 ms", "1.50 s", "expired 1", "33.3 %", "cloud 2", "light (may wait 0.2 s)"):
        assert cell in words
