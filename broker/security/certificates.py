"""TLS for listeners and links, from files that are read again when they change; who a certificate names."""

import contextlib
import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from broker.contract.identity import Identity, Role
from broker.errors import SettingsError
from broker.security.file_stamp import FileStamp, file_stamp, unusable
from broker.security.rules import name_fault
from broker.security.text_file import mark_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The PEM files of one side: its certificate with its key, and the authority it believes.

    A server with a `ca` knows its clients by their certificates; with `require` it lets no others in.
    """

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    require: bool = False

    def stamps(self) -> tuple[FileStamp | None, ...]:
        """The files as they are now."""
        return tuple(map(file_stamp, (self.cert, self.key, self.ca)))

    def digests(self) -> dict[str, bytes]:
        """What is another one for each file as soon as that has other contents."""
        with contextlib.suppress(OSError):
            files = dict.fromkeys(filter(None, (self.cert, self.key, self.ca)))
            return {str(file): hashlib.sha256(file.read_bytes()).digest() for file in files}
        return {}


class ServerTls:
    """The TLS of a broker's listeners. Connections that are open keep what they began with."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises SettingsError."""
        self._files = files
        self._stamps = files.stamps()
        self.context = self._fresh()
        self._unusable = False
        self.digests = files.digests()

    @property
    def trouble(self) -> tuple[str, ...]:
        """Says so while the files, as they are now, cannot be used."""
        files = self._files
        return (unusable(files.cert, files.key, files.ca),) if self._unusable else ()

    def refresh(self) -> None:
        """Use the files as they are now, if they have changed; a set that does not fit changes nothing."""
        if self._files.stamps() == self._stamps:
            return
        try:
            self.reread()
        except SettingsError as fault:
            log.error("certificates_unreadable", reason=str(fault), next_step="the ones known so far stay")

    def reread(self) -> None:
        """Use the files as they are now. Raises SettingsError; then nothing changes."""
        self._stamps, self._unusable = self._files.stamps(), True
        self._fresh()
        # The listeners hold this one context; it is known by now that the files fit.
        _fill(self.context, self._files)
        self._unusable = False
        self.digests = self._files.digests()
        log.info("certificates_read", cert=str(self._files.cert))

    def check(self) -> None:
        """Raises SettingsError where the files, as they are now, cannot be used."""
        self._fresh()

    def _fresh(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _fill(context, self._files)
        if self._files.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED if self._files.require else ssl.CERT_OPTIONAL
        return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """The TLS of a link: the system's authorities, or the one that is given. Raises SettingsError."""
    context = ssl.create_default_context()
    if files.ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _fill(context, files)
    return context


def identity_of(connection: Any) -> Identity | None:
    """Who the verified certificate of a TLS connection's other side names; None without one.

    The common name is the user, and the organisational unit, `node` or `device`, the role: an
    operator's certificate says `device`, and the users file that it is an operator.
    """
    certificate = None if connection is None else connection.getpeercert()
    if not certificate:
        return None
    subject = dict(part for parts in certificate.get("subject", ()) for part in parts)
    name, unit = subject.get("commonName", ""), subject.get("organizationalUnitName", "")
    if name_fault(name) is not None:
        return None
    return Identity(name, Role.NODE if unit == Role.NODE else Role.DEVICE)


def _fill(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.cert is not None:
        with _usable(files.cert, files.key):
            context.load_cert_chain(files.cert, files.key, password=_no_password)
    if files.ca is not None:
        with _usable(files.ca):
            context.load_verify_locations(files.ca)


@contextlib.contextmanager
def _usable(path: Path, key: Path | None = None) -> Iterator[None]:
    try:
        for file in filter(None, (path, key)):
            _check_form(file)
        yield
    except (OSError, ValueError) as fault:
        raise SettingsError(f"the certificate {path} or its key cannot be used: {_reason(fault)}") from fault


def _reason(fault: OSError | ValueError) -> str:
    """What is wrong, without OpenSSL's own places in its code."""
    match fault:
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "the key belongs to another certificate"
        case ssl.SSLError(reason=reason):
            why = f" ({reason.replace('_', ' ').lower()})" if reason else ""
            return f"OpenSSL can make nothing of what is in it{why}"
        case OSError(filename=str() | Path() as file, strerror=str() as said):
            return f"{file}: {said}"
        case _:
            return str(fault)


def _check_form(path: Path) -> None:
    """Raises ValueError for what OpenSSL refuses without a word of why."""
    data = path.read_bytes()
    if mark_of(data):
        raise ValueError(f"{path} begins with a byte order mark; save it as UTF-8 without one")
    if b"-----BEGIN " not in data:
        raise ValueError(
            f"{path} is not in PEM format; of a .cer or .der file"
            " `openssl x509 -inform der -in FILE -out FILE.pem` makes one that is"
        )


def _no_password() -> str:
    raise ValueError("the key is encrypted; write it without a password, readable by its owner only")
