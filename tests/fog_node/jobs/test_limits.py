"""How fast and how much a device may submit."""

from fog_node.jobs.limits import DeviceLimits, TokenBucket
from tests.support.jobs import job


def test_a_bucket_says_how_long_to_wait() -> None:
    bucket = TokenBucket(rate=10, burst=2, tokens=2, at=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.1]
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.05) > 0, "a clock that goes back gives nothing"
    assert [bucket.take(100.0) for _ in range(3)][:2] == [0.0, 0.0]


def test_each_device_has_a_rate_of_its_own() -> None:
    limits = DeviceLimits(rate=1, burst=1, open=0)
    assert limits.refusal(job(device="a"), 0.0) is None
    assert "in 1.000 s" in (limits.refusal(job(device="a"), 0.0) or "")
    assert limits.refusal(job(device="b"), 0.0) is None
    assert limits.refusal(job(device="a", origin="fog-b"), 0.0) is None


def test_a_device_has_no_more_open_than_it_may() -> None:
    limits = DeviceLimits(rate=0, burst=1, open=1)
    limits.opened(job(device="a"))
    assert "wait for their outcomes" in (limits.refusal(job(device="a"), 0.0) or "")
    assert limits.refusal(job(device="b"), 0.0) is None
    limits.closed(job(device="a"))
    assert limits.refusal(job(device="a"), 0.0) is None
