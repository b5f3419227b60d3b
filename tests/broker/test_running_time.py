"""Running time goes on over restarts, and no jump of the machine's clock moves it."""

import re

import pytest

from broker.running_time import MOST_OFF, RunningTime
from tests.support.programs import REPOSITORY

YEAR = 365 * 24 * 3600.0

WALL = re.compile(r"\btime\.time(_ns)?\b|\bfrom time import .*\btime\b|\bdatetime\.(now|utcnow|today)\(")
FOR_PEOPLE_AND_OTHERS = {
    "broker/running_time.py",
    # From when to when a certificate is valid, when a dead letter died.
    "broker/security/authority.py",
    "fog_node/journal/journal.py",
    # The minutes of a crontab are those of a clock on the wall.
    "fog_node/clockwork.py",
    # Numbers and names that are to differ from those of earlier lives.
    "fog_node/node.py",
}


class Machine:
    """A machine's clocks, which can jump, and be switched off."""

    def __init__(self) -> None:
        self.wall, self.monotonic, self.boot = 1_000_000.0, 50.0, 1

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def is_off(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic = 5.0
        self.boot += 1

    def started(self, earlier: RunningTime | None = None) -> RunningTime:
        saved = None if earlier is None else earlier.read()
        return RunningTime(
            saved, wall=lambda: self.wall, monotonic=lambda: self.monotonic, boot=str(self.boot)
        )


def test_it_begins_with_the_clock_of_the_machine() -> None:
    """So that what an earlier version has stored by that clock keeps its age."""
    machine = Machine()
    assert machine.started().now() == machine.wall


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_jump_moves_it_neither_within_a_life_nor_between_two(jump: float) -> None:
    machine = Machine()
    first = machine.started()
    began = first.now()
    machine.wall += jump
    machine.passes(10.0)
    assert first.now() == began + 10.0
    second = machine.started(first)
    machine.wall += jump
    machine.passes(10.0)
    assert second.now() == machine.started(second).now() == began + 20.0


def test_it_counts_while_the_program_is_not_there() -> None:
    machine = Machine()
    first = machine.started()
    began, saved = first.now(), first.read()
    machine.wall -= YEAR
    machine.passes(3600.0)
    assert RunningTime(saved, monotonic=lambda: machine.monotonic, boot=saved.boot).now() == began + 3600.0


@pytest.mark.parametrize(("off", "counted"), [(60.0, 60.0), (YEAR, MOST_OFF), (-YEAR, 0.0)])
def test_while_the_machine_is_off_its_clock_counts_within_bounds(off: float, counted: float) -> None:
    machine = Machine()
    first = machine.started()
    began, saved = first.now(), first.read()
    machine.is_off(off)
    second = RunningTime(
        saved, wall=lambda: machine.wall, monotonic=lambda: machine.monotonic, boot=str(machine.boot)
    )
    assert second.now() == began + counted


def test_it_is_told_in_both_directions() -> None:
    machine = Machine()
    time = machine.started()
    assert time.of(machine.monotonic) == time.now()
    assert time.monotonic(time.of(123.0)) == 123.0


def test_nothing_that_waits_or_measures_reads_the_clock_of_the_machine() -> None:
    """Leases, limits, locks and the times in outcomes cannot jump with a clock that they do not know."""
    packages = ("broker", "fog_tasks", "fog_node", "cloud_node", "device_sim", "weighbridge")
    files = (path for package in packages for path in (REPOSITORY / package).rglob("*.py"))
    found = {str(one.relative_to(REPOSITORY)) for one in files if WALL.search(one.read_text("utf-8"))}
    assert found == FOR_PEOPLE_AND_OTHERS
