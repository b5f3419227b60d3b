"""Who may connect, publish and subscribe, as the embedded broker asks it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from broker.contract.identity import NOBODY, Identity
from broker.errors import SettingsError
from broker.security import rules as access
from broker.security.file_stamp import file_stamp, unusable
from broker.security.password_checks import PasswordChecks
from broker.security.users import User, read_users

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Login:
    """What a client says of itself when it connects.

    `certificate` is who its certificate says it is, where TLS has verified one.
    """

    client_id: str
    username: str | None
    password: bytes | None
    address: str
    certificate: Identity | None = None


class Access(ABC):
    """Decides; all but `may_connect` are asked for each packet, so they have to be quick."""

    has_users = True
    """Whether who publishes has a role here."""

    @abstractmethod
    def may_connect(self, login: Login, /) -> bool | asyncio.Future[bool]:
        """Whether a client may connect; the answer may come later."""

    @abstractmethod
    def may_publish(self, login: Login, topic: str, /) -> bool:
        """Whether a client may publish to a topic."""

    @abstractmethod
    def may_subscribe(self, login: Login, filter: str, /) -> bool:
        """Whether a client may subscribe to a filter."""

    @abstractmethod
    def identity(self, login: Login, /) -> Identity | None:
        """Who a client is now; None where nobody has a name here."""

    def changed(self) -> frozenset[str]:
        """The users who are gone, or have another password or role, since the last call."""
        return frozenset()

    def reread(self) -> None:  # noqa: B027  # most have no file
        """Read the users now. Raises SettingsError; then those known so far stay."""

    def known(self) -> Mapping[str, User]:
        """The users of the file, by name."""
        return {}

    @property
    def trouble(self) -> tuple[str, ...]:
        """Says so while the users cannot be read as they are now."""
        return ()

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """Let go of what deciding needs."""


class AllowAll(Access):
    """Lets everybody do everything."""

    has_users = False

    def may_connect(self, _login: Login, /) -> bool | asyncio.Future[bool]:
        return True

    def may_publish(self, _login: Login, _topic: str, /) -> bool:
        return True

    def may_subscribe(self, _login: Login, _filter: str, /) -> bool:
        return True

    def identity(self, _login: Login, /) -> Identity | None:
        return None


class UserAccess(Access):
    """The users of a file, and who has a certificate; the file is read again when it has changed.

    A file that cannot be read any more changes nothing: the users known so far stay.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        allow_anonymous: bool = False,
        checks: Callable[[], PasswordChecks] = PasswordChecks,
    ) -> None:
        self._path = path
        self._allow_anonymous = allow_anonymous
        self._stamp = file_stamp(path)
        self._users: dict[str, User] = {} if path is None else read_users(path)
        self._changed: frozenset[str] = frozenset()
        self._unusable = False
        self._checks = checks()

    def may_connect(self, login: Login) -> bool | asyncio.Future[bool]:
        if login.certificate is not None:
            # Another name beside the certificate's would be somebody who pretends.
            return login.username in (None, login.certificate.name)
        if login.username is None:
            return self._allow_anonymous
        self._refresh()
        return self._checks.check(self._users.get(login.username), login.password or b"", login.address)

    def may_publish(self, login: Login, topic: str) -> bool:
        identity = self.identity(login)
        return identity is not None and access.may_publish(identity, topic)

    def may_subscribe(self, login: Login, filter: str) -> bool:
        identity = self.identity(login)
        return identity is not None and access.may_subscribe(identity, filter)

    def identity(self, login: Login) -> Identity | None:
        name = login.username if login.certificate is None else login.certificate.name
        if name is None:
            return NOBODY if self._allow_anonymous else None
        user = self._users.get(name)
        return login.certificate if user is None else user.identity

    def changed(self) -> frozenset[str]:
        self._refresh()
        changed, self._changed = self._changed, frozenset()
        return changed

    def reread(self) -> None:
        if self._path is None:
            return
        self._stamp, self._unusable = file_stamp(self._path), True
        users = read_users(self._path)
        self._unusable = False
        before, self._users = self._users, users
        self._changed |= {name for name in before if before[name] != users.get(name)}
        log.info("users_read", users=len(users))

    def known(self) -> Mapping[str, User]:
        return self._users

    @property
    def trouble(self) -> tuple[str, ...]:
        return (unusable(self._path),) if self._unusable else ()

    def close(self) -> None:
        self._checks.close()

    def _refresh(self) -> None:
        if file_stamp(self._path) == self._stamp:
            return
        try:
            self.reread()
        except SettingsError as fault:
            log.error("users_unreadable", reason=str(fault), next_step="the users known so far stay")
