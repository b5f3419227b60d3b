"""A journal of an earlier version goes on in this one."""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from broker.contract.identity import Role
from fog_node.jobs.answer import Answer
from fog_node.jobs.fingerprint import fingerprint
from fog_node.jobs.job import End, Job
from fog_node.journal.dead_letters import DeadLetters
from fog_node.journal.journal import Journal, Remembered
from tests.support.jobs import job

EARLIER = """
CREATE TABLE jobs (
    key INTEGER PRIMARY KEY AUTOINCREMENT, origin TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL,
    weight TEXT NOT NULL, task TEXT NOT NULL, payload BLOB NOT NULL, reply TEXT NOT NULL, correlation BLOB,
    route TEXT NOT NULL, max_hops INTEGER, accepted_at REAL NOT NULL, deadline_at REAL,
    ended_at REAL, end TEXT, outcome BLOB, UNIQUE (origin, device, id)
);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_open ON jobs (key) WHERE ended_at IS NULL;
CREATE TABLE dead (
    key INTEGER PRIMARY KEY, origin TEXT NOT NULL, device TEXT NOT NULL, id TEXT NOT NULL,
    weight TEXT NOT NULL, task TEXT NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL,
    died_at REAL NOT NULL
);
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO about VALUES ('life', '0badcafe');
INSERT INTO jobs VALUES
    (1, '', 'me', 'open', 'light', 'sum', x'5b315d', 'fog/results/me/open',
     x'63', '["a"]', 2, 100, 160, NULL, NULL, NULL),
    (2, '', 'me', 'ended', 'light', 'sum', x'', 'fog/results/me/ended',
     NULL, '[]', NULL, 100, NULL, 101, 'done', CAST('{"ok":true}' AS BLOB)),
    (3, 'fog-z', 'lamp', '7', 'light', 'sum', x'5b325d', 'fog/mesh/fog-z/results/k-3-0',
     NULL, '[]', NULL, 100, NULL, NULL, NULL, NULL),
    (9, '', 'me', 'forgotten', 'light', 'sum', x'', '', NULL, '[]', NULL, 1, NULL, 2, 'done', x'');
DELETE FROM jobs WHERE key = 9;
INSERT INTO dead VALUES (2, '', 'me', 'ended', 'light', 'sum', x'5b315d', 'it died', 101);
"""


def asked(payload: bytes, task: str = "sum", *, id: str, key: int = 11) -> Job:
    """A task as it is read from what a device has published."""
    return job(key, task=task, payload=payload, id=id, fingerprint=fingerprint(task, payload))


async def test_a_journal_of_an_earlier_version_keeps_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(EARLIER)
    # The second life finds what the first has moved.
    for life in range(2):
        async with Journal.opened(path, wall=lambda: 102.0, monotonic=lambda: 2.0) as journal:
            mine, theirs = journal.open_jobs()
            assert mine.identity == asked(b"[1]", id="open").identity
            assert (mine.key, mine.route, mine.max_hops, mine.correlation) == (1, ("a",), 2, b"c")
            assert theirs.identity == ("fog-z", "lamp", "7", b"k-3-0")
            # What an ended task was asked for is not known any more: its name and its task say enough.
            assert journal.find(asked(b"[5]", id="ended")) == Remembered(End.DONE, b'{"ok":true}')
            assert journal.find(asked(b"[5]", "echo", id="ended")) is None
            assert journal.life == "0badcafe"
            assert journal.next_key() == 10 + life
            await journal.accept(asked(b"[6]", id=f"new-{life}", key=10 + life))
            await journal.finish(asked(b"[6]", id=f"new-{life}", key=10 + life), End.DONE, b"{}")
    assert [letter.id for letter in DeadLetters(path).all()] == ["ended"]


@pytest.mark.parametrize("missing", [("answer",), ("answer", "user_properties")])
async def test_a_journal_gets_a_place_for_what_came_later(tmp_path: Path, missing: Sequence[str]) -> None:
    path = tmp_path / "j.db"
    before, after = asked(b"[1]", id="x", key=1), asked(b"[2]", id="x", key=2)
    after.user_properties = (("traceparent", "00-1"),)
    after.answer = Answer(rule="r", result="home/a", value=True, hops=2, role=Role.DEVICE)
    async with Journal.opened(path) as journal:
        await journal.accept(before)
    with contextlib.closing(sqlite3.connect(path)) as file:
        for column in missing:
            file.execute(f"ALTER TABLE jobs DROP COLUMN {column}")
    async with Journal.opened(path) as journal:
        await journal.accept(after)
    async with Journal.opened(path) as journal:
        found = [(one.identity, one.user_properties, one.answer) for one in journal.open_jobs()]
        assert found == [(one.identity, one.user_properties, one.answer) for one in (before, after)]


async def test_another_task_of_the_same_name_is_kept_beside_the_first(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    first, second = asked(b"[1]", id="x", key=1), asked(b"[2]", id="x", key=2)
    async with Journal.opened(path) as journal:
        for one in (first, second):
            await journal.accept(one)
        await journal.finish(first, End.DONE, b"first")
    async with Journal.opened(path) as journal:
        assert journal.find(asked(b"[1]", id="x")) == Remembered(End.DONE, b"first")
        assert journal.find(asked(b"[2]", id="x")) is None
        assert [one.key for one in journal.open_jobs()] == [2]
