"""Writes Mosquitto's files of passwords and rules from the users file, and tells who a message is from."""

import secrets
from pathlib import Path

import structlog
from msgspec.structs import replace

from broker.contract.engine import Known
from broker.contract.filter_tree import FilterTree
from broker.contract.identity import Identity, Role
from broker.contract.message import Message
from broker.contract.topics import ROOT
from broker.engines.mosquitto.dynamic_security import changes, rules_file
from broker.errors import SettingsError
from broker.security.certificates import ServerTls, TlsFiles
from broker.security.file_stamp import FileStamp, file_stamp, unusable
from broker.security.rules import USER
from broker.security.users import User, mosquitto_hash, read_users, write_private

log = structlog.get_logger()

_OWNER_ITERATIONS = 1_000
"""Few are enough for a password of 256 random bits, which nobody can guess at any speed."""


UNWRITTEN = "users cannot be written for Mosquitto, which keeps those it has: the log says why"


class MosquittoAccess:
    """Who may log in to Mosquitto and what each may do there.

    With `certificates`, whoever connects over the network needs a certificate that names them, and no
    password. A file that cannot be used any more changes nothing: what was known stays.
    """

    def __init__(
        self, path: Path, *, allow_anonymous: bool, certificates: bool, tls: TlsFiles | None = None
    ) -> None:
        """Read the users. Raises SettingsError, also where one could never log in."""
        # A slash is in no user's name, and the rest can't be guessed by who gets a certificate signed.
        self.owner = f"node/{secrets.token_hex(8)}"
        self.password = secrets.token_hex(32)
        self._owner_hash = mosquitto_hash(self.password, iterations=_OWNER_ITERATIONS)
        self._path = path
        self._allow_anonymous = allow_anonymous
        self._certificates = certificates
        self._tls = None if tls is None else ServerTls(tls)
        self._tls_files = tls or TlsFiles()
        self._stamps = self._look()
        self._users = self._read()
        self._digests = self._tls_files.digests()
        # The files that cannot be used as they are now.
        self._unusable: tuple[Path | None, ...] = ()
        self._unwritten = False

    def write(self, passwords: Path, rules: Path) -> None:
        """Write both of Mosquitto's files, each in one step. Raises SettingsError."""
        self._unwritten = True
        lines = [f"{self.owner}:{self._owner_hash}"]
        lines += [f"{one.name}:{one.mosquitto_hash}" for one in self._users.values() if one.mosquitto_hash]
        write_private(passwords, _text(lines))
        known = self._identities().values()
        write_private(rules, rules_file(known, owner=self.owner, anonymous=self._allow_anonymous))
        self._unwritten = False

    def refresh(self) -> bytes | None:
        """Read again what has changed; None if Mosquitto need not, else commands for it, empty for none."""
        if self._look() == self._stamps:
            return None
        try:
            return self.reread()
        except SettingsError as fault:
            log.error("access_unreadable", reason=str(fault), next_step="what was known so far stays")
            return None

    def reread(self) -> bytes:
        """Read again; returns commands for Mosquitto, empty for none. Raises SettingsError."""
        self._stamps = self._look()
        before = self._identities()
        files = self._tls_files
        self._unusable = (files.cert, files.key, files.ca)
        if self._tls is not None:
            # Mosquitto reads them itself; this tells beforehand whether they fit.
            self._tls.check()
        self._unusable = (self._path,)
        self._users = self._read()
        self._unusable = ()
        self._digests = self._tls_files.digests()
        log.info("users_read", users=len(self._users))
        return changes(before, self._identities())

    def known(self) -> Known:
        """The users and certificates in force."""
        return {"user": dict(self._users), "certificate file": self._digests}

    @property
    def trouble(self) -> tuple[str, ...]:
        """Says so while Mosquitto is not given what the files say now."""
        unread = (unusable(*self._unusable),) if self._unusable else ()
        return (*unread, *((UNWRITTEN,) if self._unwritten else ()))

    def identified(self, message: Message) -> Message:
        """Add who has published a message, as far as the rules that Mosquitto keeps leave no doubt.

        Below a device's name publishes that device, or an operator. A node may not: where a topic
        names a node or an operator, it was an operator. A topic without a name tells nothing. Outside the
        contract it was one of those who may publish there: with the rights that all of them have.
        """
        levels = message.topic.split("/")
        if levels[0] != ROOT:
            return self._identified_by_own_topics(message)
        if levels[1:2] != ["tasks"]:
            return message
        user = self._users.get(levels[4]) if len(levels) > 4 else None
        if user is None:
            return replace(message, role=Role.DEVICE)
        role = Role.DEVICE if user.role is Role.DEVICE else Role.OPERATOR
        return replace(message, user=user.name, role=role, reads=user.read)

    def _identified_by_own_topics(self, message: Message) -> Message:
        users = {one.name: one for level in self._own_topics.find(message.topic) for one in level.here}
        if len(users) == 1:
            (user,) = users.values()
            return replace(message, user=user.name, role=user.role, reads=user.read)
        roles = {user.role for user in users.values()}
        return replace(message, role=roles.pop() if len(roles) == 1 else Role.DEVICE)

    def _identities(self) -> dict[str, Identity]:
        return {name: user.identity for name, user in self._users.items()}

    def _read(self) -> dict[str, User]:
        """Read the users, and note whose topics are whose."""
        users = read_users(self._path)
        for user in users.values():
            if user.mosquitto_hash is None and not self._certificates:
                raise SettingsError(
                    f"user {user.name!r} has no password that Mosquitto can check; give it one with"
                    f" `fog-broker user add {user.name} --role {user.role} --mosquitto --users {self._path}`"
                )
        self._own_topics: FilterTree[User] = FilterTree()
        for user in users.values():
            for one in user.publish:
                self._own_topics.add(one.replace(USER, user.name), user)
        return users

    def _look(self) -> tuple[FileStamp | None, ...]:
        return (file_stamp(self._path), *self._tls_files.stamps())


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
