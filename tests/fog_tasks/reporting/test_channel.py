"""Reports reach a real Redis that closes connections, as those that nobody uses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from fog_tasks.reporting import channel as channel_module
from fog_tasks.reporting.channel import ReportChannel
from fog_tasks.reporting.reports import Advanced, Done, decode_report
from tests.support.redis import private_redis


class Here:
    """A channel, and what Redis has of it."""

    def __init__(self, url: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, protocol=2)
        # An entry has several fields of one name, of which a dictionary would keep the last.
        self.redis.set_response_callback("XRANGE", lambda answer, **_: answer)
        self.channel = ReportChannel(url)

    def close_all(self) -> None:
        """Close every connection but the one that says so."""
        self.redis.client_kill_filter(_type="normal", skipme=True)

    @property
    def told(self) -> list[int]:
        """The places of the reports in the stream, in order."""
        found = []
        for _, fields in self.redis.xrange("stream"):
            for value in fields[1::2]:
                report = decode_report(value)
                assert isinstance(report, Done | Advanced)
                found.append(report.index)
        return found


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    with private_redis(tmp_path) as url:
        yield Here(url)


def done(index: int) -> Done:
    return Done("t-1", b"1", 2.0, index)


def test_a_connection_that_was_closed_meanwhile_is_opened_again(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost for it, be it a report that may get lost otherwise.

    It may be written twice, where the news that the connection is closed is slower than the next report.
    """
    monkeypatch.setattr(channel_module, "IDLE", -1.0)
    monkeypatch.setattr(channel_module, "RETRY_PAUSES", ())
    for index in (0, 3, 6):
        here.channel.post("stream", done(index))
        here.close_all()
        here.channel.mention("stream", Advanced("t-1", 50.0, index + 1))
        here.close_all()
        assert here.channel.withdrawn("t-1") == frozenset()
        here.close_all()
        here.channel.send("stream", done(index + 2))
        here.close_all()
    assert list(dict.fromkeys(here.told)) == list(range(9))


def test_what_a_broken_connection_has_not_confirmed_is_written_again(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the next report has opened another connection before anybody asked."""
    monkeypatch.setattr(channel_module, "IDLE", 1000.0)
    here.channel.post("stream", done(0))
    here.close_all()
    for index in (1, 2, 3):
        here.channel.post("stream", done(index))
    here.channel.confirm()
    assert set(here.told) == {0, 1, 2, 3}
    told = len(here.told)
    here.channel.send("stream", done(4))
    assert here.told[told:] == [4]
