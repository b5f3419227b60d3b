"""When the event loop waits for the disk by itself, and for how long it does not."""

import pytest

from broker.storage.disk_breaker import FORGIVING, DiskBreaker

SLOW, QUICK = 0.02, 0.001


@pytest.fixture
def disk() -> DiskBreaker:
    return DiskBreaker(0.01, (1.0, 4.0))


def test_a_quick_disk_is_waited_for(disk: DiskBreaker) -> None:
    assert disk.may_wait(0.0)
    disk.waited(QUICK, 0.0)
    assert disk.may_wait(0.0)


def test_a_slow_one_is_tried_again_after_a_while(disk: DiskBreaker) -> None:
    disk.waited(SLOW, 10.0)
    assert not disk.may_wait(10.9)
    assert disk.may_wait(11.0)


def test_the_while_doubles_as_long_as_it_is_slow_and_has_a_limit(disk: DiskBreaker) -> None:
    now = 0.0
    for spell in (1.0, 2.0, 4.0, 4.0):
        disk.waited(SLOW, now)
        assert not disk.may_wait(now + 0.99 * spell)
        now += spell
        assert disk.may_wait(now)


def test_one_that_is_quick_for_long_gets_its_short_while_back(disk: DiskBreaker) -> None:
    disk.waited(SLOW, 0.0)
    for _ in range(FORGIVING):
        disk.waited(QUICK, 2.0)
    disk.waited(SLOW, 4.0)
    assert disk.may_wait(5.0)


def test_one_that_stalls_now_and_then_does_not(disk: DiskBreaker) -> None:
    for now in (0.0, 10.0, 20.0):
        disk.waited(SLOW, now)
        disk.waited(QUICK, now)
    assert not disk.may_wait(23.9)
    assert disk.may_wait(24.0)
