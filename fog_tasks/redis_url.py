"""The Redis between a node and its workers: how it is named, and what each kind of client is told of it.

A URL made here is in redis-py's spelling, and is all that a client needs: it also says which authority has to
have signed the server's certificate. So no way to the same Redis is less careful than another.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from broker.contract.url import hide_password
from broker.errors import SettingsError
from broker.security.certificates import TlsFiles, client_context

_SPELLINGS = {"valkey": "redis", "valkeys": "rediss"}
"""To its clients Valkey is a Redis, and none of them knows its name."""

_CHECKED = {"ssl_cert_reqs": "required"}
_SAID_ANYWAY = ("required", "CERT_REQUIRED")
"""How URLs that were made for other programs say what holds here in any case."""

ASKED_FOR_ONE = "; if it asks for a certificate, give one with --cert FILE and --key FILE"


def socket_url(socket: Path) -> str:
    """The URL of a Redis on a socket of this machine."""
    return f"unix://{quote(bytes(socket))}"


def redis_url(given: str, files: TlsFiles) -> str:
    """Read the URL of `--redis`. Raises SettingsError.

    The certificate of a `rediss://` is always checked, by the authority in `files` or the system's.
    """
    url = f"--redis {hide_password(given)!r}"
    parts = _split(given)
    if parts is None:
        raise SettingsError(f"{url} is not redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix://PATH")
    scheme, options = _SPELLINGS.get(parts.scheme, parts.scheme), dict(parse_qsl(parts.query))
    checked = options.pop("ssl_cert_reqs", "required") in _SAID_ANYWAY
    if not checked or _of_tls(options):
        raise SettingsError(
            f"{url}: the server's certificate is always checked; leave the ssl_ options out,"
            " and give the authority that has signed it with --ca FILE"
        )
    if scheme == "rediss":
        # Redis would be said to be away for a file that cannot be used.
        client_context(files)
        options |= _CHECKED | _tls_options(files)
    return _joined(scheme, parts, options)


def shown(url: str) -> str:
    """A URL for people: without a password, and without what was added to it here."""
    return hide_password(url.partition("?")[0])


def tls_fault(fault: BaseException) -> str | None:
    """What is wrong with the TLS of a Redis that could not be reached, and what to do; None if nothing is."""
    cause: BaseException | None = fault
    while cause is not None:
        match cause:
            case ssl.SSLCertVerificationError():
                return (
                    f"its certificate is not to be trusted ({cause.verify_message});"
                    " give the authority that has signed it with --ca FILE"
                )
            case ssl.SSLEOFError():
                return None  # It has closed, which may be anything.
            case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
                return "it does not speak TLS there; its URL is redis://"
            case ssl.SSLError():
                return f"TLS fails ({cause.reason}){ASKED_FOR_ONE}"
        cause = cause.__cause__ or cause.__context__
    return None


def celery_url(url: str) -> str:
    """A URL in kombu's spelling, for broker and result backend."""
    parts = urlsplit(url)
    options = {name: value for name, value in parse_qsl(parts.query) if not name.startswith("ssl_")}
    if parts.scheme != "unix":
        return _joined(parts.scheme, parts, options)
    if "db" in options:
        options["virtual_host"] = options.pop("db")
    return _joined("redis+socket", parts, options)


def celery_tls(url: str) -> dict[str, Any] | None:
    """What Celery's clients are told of TLS; not by their URL, in which Celery decodes a path twice."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return None
    # Said always: of a URL that says nothing, kombu would check nothing.
    return {**_of_tls(dict(parse_qsl(parts.query))), "ssl_cert_reqs": ssl.CERT_REQUIRED}


def _split(given: str) -> SplitResult | None:
    """The parts of a URL that all clients read alike; None for any other."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return None
    database = dict(parse_qsl(parts.query)).get("db", "0")
    if parts.scheme == "unix":
        usable = parts.path not in ("", "/")
    else:
        usable = parts.scheme in ("redis", "rediss", *_SPELLINGS) and bool(parts.hostname) and port != 0
        # Another path is taken by redis-py for database 0, and is a fault to Celery.
        usable = usable and re.fullmatch(r"(/\d*)?", parts.path) is not None
    return parts if usable and database.isdecimal() and not parts.fragment else None


def _joined(scheme: str, parts: SplitResult, options: Mapping[str, str]) -> str:
    # urlunsplit would leave the slashes before an empty host out.
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{parts.netloc}{parts.path}{query}"


def _of_tls(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if name.startswith("ssl_")}


def _tls_options(files: TlsFiles) -> dict[str, str]:
    names = {"ssl_ca_certs": files.ca}
    if files.cert is not None:
        names |= {"ssl_certfile": files.cert, "ssl_keyfile": files.key or files.cert}
    return {name: str(path.absolute()) for name, path in names.items() if path is not None}
