"""The users file: names, roles and hashed passwords, in TOML that only its owner can read."""

import base64
import contextlib
import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from broker.contract.identity import Identity, Role
from broker.errors import SettingsError
from broker.security.rules import name_fault, own_topic_fault
from broker.security.text_file import read_toml

# What OWASP's cheat sheet asks for at least; 19 MiB, since a fog node may be a small computer.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

MOSQUITTO_ITERATIONS = 20_000
"""Of PBKDF2: 8 ms of a PC's core, and more of a small computer's. Mosquitto does nothing else meanwhile."""

_MOSQUITTO_HASH = re.compile(r"\$7\$[0-9]{1,9}\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*")

LONGEST_PASSWORD = 1024
"""Bytes. A longer password is wrong without being hashed, so that nobody can keep a core busy with it."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    name: str
    role: Role
    password_hash: str
    mosquitto_hash: str | None = None
    """The same password as Mosquitto can check it: easier to guess from a stolen file than argon2's."""
    publish: tuple[str, ...] = ()
    """Filters of topics that it may publish to beside what its role may; `%u` is its name."""
    read: tuple[str, ...] = ()
    """The same of what it may read."""

    @property
    def identity(self) -> Identity:
        """Who this user is to the access rules."""
        return Identity(self.name, self.role, self.publish, self.read)


def make_user(
    name: str,
    role: Role,
    password: str,
    *,
    mosquitto: bool = False,
    publish: Iterable[str] = (),
    read: Iterable[str] = (),
) -> User:
    """Make a user with a hashed password, also as Mosquitto needs it if asked to. Raises SettingsError."""
    fault = name_fault(name)
    if fault is not None:
        raise SettingsError(f"user name {name!r} {fault}")
    if not password or len(password.encode()) > LONGEST_PASSWORD:
        raise SettingsError(f"a password has 1 to {LONGEST_PASSWORD} bytes")
    return User(
        name,
        role,
        _hasher.hash(password),
        mosquitto_hash(password) if mosquitto else None,
        publish=_own_topics(name, "publish", list(publish)),
        read=_own_topics(name, "read", list(read)),
    )


def mosquitto_hash(password: str, *, iterations: int = MOSQUITTO_ITERATIONS) -> str:
    """Hash a password as a line of Mosquitto's password file has it: PBKDF2 with SHA-512."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def is_password(password_hash: str, password: bytes) -> bool:
    """Tell whether a password is the one that was hashed. Takes tens of milliseconds on purpose."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


def read_users(path: Path) -> dict[str, User]:
    """Read a users file. Raises SettingsError where it is missing, open to others, or malformed."""
    try:
        mode = path.stat().st_mode
        found = read_toml(path)
    except FileNotFoundError:
        raise SettingsError(
            f"there is no users file {path}; `fog-broker user add NAME --users {path}` makes it"
        ) from None
    except OSError as fault:
        raise SettingsError(f"the users file {path} cannot be read: {fault.strerror}") from fault
    except SettingsError as fault:
        raise SettingsError(f"the users file {path} cannot be read: {fault}") from fault
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"the users file {path} is open to others; close it with `chmod 600 {path}`")
    return {name: _user(path, name, entry) for name, entry in found.items()}


def write_users(path: Path, users: dict[str, User]) -> None:
    """Write a users file in one step: who reads it meanwhile sees the old or the new one.

    Raises SettingsError.
    """
    lines = {user.name: _entry(user) for user in sorted(users.values(), key=lambda one: one.name)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        raise SettingsError(f"the users file {path} cannot be written: {fault}") from fault
    write_private(path, tomli_w.dumps(lines))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step. Raises SettingsError."""
    temporary: str | None = None
    try:
        # mkstemp makes it with mode 0600.
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            # Before it takes the old one's place: a power loss could else leave an empty file.
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as fault:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise SettingsError(f"the file {path} cannot be written: {fault}") from fault


def _entry(user: User) -> dict[str, object]:
    entry = {
        "role": str(user.role),
        "password": user.password_hash,
        "mosquitto": user.mosquitto_hash,
        "publish": list(user.publish),
        "read": list(user.read),
    }
    return {key: value for key, value in entry.items() if value}


def _user(path: Path, name: str, entry: object) -> User:
    fault = name_fault(name)
    if fault is not None:
        raise SettingsError(f"{path}: user name {name!r} {fault}")
    match entry:
        case {"role": str() as role, "password": str() as password, **more} if role in tuple(Role):
            other = more.pop("mosquitto", None)
            try:
                publish, read = (_own_topics(name, key, more.pop(key, [])) for key in ("publish", "read"))
            except SettingsError as fault:
                raise SettingsError(f"{path}: {fault}") from fault
            if not more and (other is None or (isinstance(other, str) and _MOSQUITTO_HASH.fullmatch(other))):
                return User(name, Role(role), password, other, publish, read)
    raise SettingsError(
        f"{path}: user {name!r} needs a role ({', '.join(Role)})"
        " and a password hashed by `fog-broker user add`; it may have `publish` and `read`, and nothing else"
    )


def _own_topics(name: str, key: str, given: object) -> tuple[str, ...]:
    """The filters that stand under a key of a user's. Raises SettingsError."""
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise SettingsError(f'user {name!r}: {key} is a list of topic filters, such as ["tele/%u/#"]')
    for one in given:
        fault = own_topic_fault(one, name)
        if fault is not None:
            raise SettingsError(f"user {name!r}: {key} {one!r} {fault}")
    return tuple(dict.fromkeys(given))
