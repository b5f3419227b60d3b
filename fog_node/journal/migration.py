"""Brings a journal that an earlier version wrote to the schema of this one."""

import contextlib
import sqlite3
from pathlib import Path

from broker.errors import StorageError
from broker.storage.committer import BUSY_TIMEOUT

_COLUMNS = (
    "key, origin, device, id, weight, task, payload, reply, correlation, route, max_hops, accepted_at,"
    " deadline_at, ended_at, end, outcome"
)
# SQLite cannot change what is unique in a table. The highest key ever goes along: it may be of a job that is
# forgotten. What another node handed over is known by the key in its reply: fog/mesh/<origin>/results/<key>.
_MOVE = f"""
INSERT INTO jobs ({_COLUMNS}, fingerprint) SELECT {_COLUMNS},
    CASE origin WHEN '' THEN x''
    ELSE CAST(substr(reply, length('fog/mesh/' || origin || '/results/') + 1) AS BLOB) END FROM earlier_jobs;
DELETE FROM sqlite_sequence WHERE name = 'jobs';
UPDATE sqlite_sequence SET name = 'jobs' WHERE name = 'earlier_jobs';
DROP TABLE earlier_jobs;
"""  # noqa: S608
_ADDED = {"user_properties": "TEXT", "answer": "BLOB"}
"""The columns that came later, in this order."""


def migrate(path: Path, schema: str) -> None:
    """Give every job its fingerprint, as far as it is known, and a place for what came later.

    All at once or not at all: the earlier version may still open what could not be moved. Raises
    StorageError.
    """
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT)) as file:
            columns = [row[1] for row in file.execute("PRAGMA table_info(jobs)")]
            if columns and "fingerprint" not in columns:
                # The indexes go by their names: those of the earlier table are in the way.
                rename = (
                    "ALTER TABLE jobs RENAME TO earlier_jobs; DROP INDEX jobs_ended; DROP INDEX jobs_open;"
                )
                file.executescript(f"BEGIN IMMEDIATE; {rename} {schema} {_MOVE} COMMIT;")
            elif columns:
                for column, kind in _ADDED.items():
                    if column not in columns:
                        file.execute(f"ALTER TABLE jobs ADD COLUMN {column} {kind}")
    except sqlite3.Error as fault:
        raise StorageError(f"{path} cannot be opened: {fault}") from fault
