"""The tables of the broker's store, and how a file of an earlier version gets them."""

import sqlite3

from broker.contract.topics import FOR_ONCE

VERSION = 2

CHECKPOINT_PAGES = 25_000
"""A thread of ours moves the log; SQLite does it by itself only where that falls far behind (100 MB)."""

# The columns of each table are in the order in which they came to be: a migrated file has the same.
SCHEMA = """
CREATE TABLE session (client TEXT PRIMARY KEY, left_at REAL NOT NULL, expiry REAL NOT NULL DEFAULT 9e999)
    WITHOUT ROWID;
CREATE TABLE subscription (client TEXT, filter TEXT, qos INTEGER NOT NULL,
    no_local INTEGER NOT NULL DEFAULT 0, retain_as_published INTEGER NOT NULL DEFAULT 0,
    identifier INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (client, filter)) WITHOUT ROWID;
CREATE TABLE message (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL,
    qos INTEGER NOT NULL, born REAL NOT NULL, retain INTEGER NOT NULL, sender TEXT NOT NULL,
    expires REAL NOT NULL DEFAULT 9e999, passed BLOB NOT NULL DEFAULT x'');
CREATE TABLE entry (id INTEGER PRIMARY KEY, client TEXT NOT NULL, message INTEGER NOT NULL,
    qos INTEGER NOT NULL, retain INTEGER NOT NULL, stage INTEGER NOT NULL, packet_id INTEGER NOT NULL,
    identifiers TEXT NOT NULL DEFAULT '', replayed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX entry_of_client ON entry (client);
CREATE TABLE received (client TEXT, packet_id INTEGER, PRIMARY KEY (client, packet_id)) WITHOUT ROWID;
CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    born REAL NOT NULL, sender TEXT NOT NULL, expires REAL NOT NULL DEFAULT 9e999,
    passed BLOB NOT NULL DEFAULT x'') WITHOUT ROWID;
CREATE TABLE will (client TEXT PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, qos INTEGER NOT NULL,
    retain INTEGER NOT NULL, delay INTEGER NOT NULL, expiry INTEGER, passed BLOB NOT NULL, username TEXT,
    name TEXT, role TEXT, due REAL NOT NULL) WITHOUT ROWID;
"""

FROM_1 = """
ALTER TABLE session ADD COLUMN expiry REAL NOT NULL DEFAULT 9e999;
ALTER TABLE subscription ADD COLUMN no_local INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscription ADD COLUMN retain_as_published INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscription ADD COLUMN identifier INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN expires REAL NOT NULL DEFAULT 9e999;
ALTER TABLE message ADD COLUMN passed BLOB NOT NULL DEFAULT x'';
ALTER TABLE entry ADD COLUMN identifiers TEXT NOT NULL DEFAULT '';
ALTER TABLE entry ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;
UPDATE entry SET replayed = retain;
ALTER TABLE retained ADD COLUMN expires REAL NOT NULL DEFAULT 9e999;
ALTER TABLE retained ADD COLUMN passed BLOB NOT NULL DEFAULT x'';
""" + SCHEMA[SCHEMA.index("CREATE TABLE will") :]

CHANGES = {0: SCHEMA, 1: FROM_1}
"""What each version before this one lacks; version 0 is an empty file."""

# An earlier version kept them.
ORDERS = "DELETE FROM retained WHERE " + " OR ".join(f"topic GLOB '{one}*'" for one in FOR_ONCE)  # noqa: S608
# Their clients were connected when the process died, and left with it.
ENDED = "DELETE FROM session WHERE expiry = 0"
OF_NO_SESSION = tuple(
    f"DELETE FROM {table} WHERE client NOT IN (SELECT client FROM session)"  # noqa: S608
    for table in ("subscription", "entry", "received", "will")
)
OF_NO_MESSAGE = "DELETE FROM entry WHERE message NOT IN (SELECT id FROM message)"
OF_NO_ENTRY = "DELETE FROM message WHERE id NOT IN (SELECT message FROM entry)"


def prepare(database: sqlite3.Connection) -> None:
    """Make a database one of this version. Raises sqlite3.Error where it cannot be."""
    database.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL syncs at checkpoints only, and FULL at each commit: a sync for each turn of the loop.
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version in CHANGES:
        database.executescript(f"BEGIN; {CHANGES[version]} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, and this program reads up to {VERSION}")
    for tidying in (ORDERS, ENDED, *OF_NO_SESSION, OF_NO_MESSAGE, OF_NO_ENTRY):
        database.execute(tidying)


def correct_clock(database: sqlite3.Connection, now: float) -> None:
    """Let what was kept later than `now`, by a clock that was ahead, count as kept now."""
    for table in ("message", "retained"):
        database.execute(
            f"UPDATE {table} SET expires = expires - born + :now, born = :now WHERE born > :now",  # noqa: S608
            {"now": now},
        )
    database.execute("UPDATE session SET left_at = :now WHERE left_at > :now", {"now": now})
