"""Certificates whose files come from elsewhere, and what is said of those that cannot be used."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.errors import SettingsError
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import ServerTls, TlsFiles, client_context


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder)
    make_certificate(folder, "fog-a", Role.NODE)
    return folder


def rewritten(made: Path, folder: Path, write: Callable[[str], bytes]) -> TlsFiles:
    """The files of a node, written in another way."""
    for name in ("ca.crt", "fog-a.crt", "fog-a.key", "ca.key"):
        (folder / name).write_bytes(write((made / name).read_text()))
    return TlsFiles(cert=folder / "fog-a.crt", key=folder / "fog-a.key", ca=folder / "ca.crt")


def test_files_with_the_lines_of_windows_are_taken(made: Path, tmp_path: Path) -> None:
    files = rewritten(made, tmp_path, lambda text: text.replace("\n", "\r\n").encode())
    ServerTls(files)
    client_context(files)
    make_certificate(tmp_path, "fog-b", Role.NODE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_told_by_name(made: Path, tmp_path: Path, encoding: str) -> None:
    files = rewritten(made, tmp_path, lambda text: text.encode(encoding))
    for use in (ServerTls, client_context):
        with pytest.raises(SettingsError, match=r"fog-a\.crt begins with a byte order mark; save it"):
            use(files)
    with pytest.raises(SettingsError, match=r"ca\.crt begins with a byte order mark"):
        client_context(TlsFiles(ca=files.ca))
    with pytest.raises(SettingsError, match=r"fog-a\.key begins with a byte order mark"):
        ServerTls(TlsFiles(cert=made / "fog-a.crt", key=files.key))


def test_what_is_no_pem_is_told_how_to_become_one(made: Path, tmp_path: Path) -> None:
    windows = tmp_path / "ca.cer"
    windows.write_bytes(ssl.PEM_cert_to_DER_cert((made / "ca.crt").read_text()))
    with pytest.raises(SettingsError, match=r"ca\.cer is not in PEM format; .* `openssl x509 -inform der"):
        client_context(TlsFiles(ca=windows))


def test_what_openssl_refuses_is_told_in_words(made: Path, tmp_path: Path) -> None:
    make_authority(tmp_path)
    make_certificate(tmp_path, "fog-b", Role.NODE)
    with pytest.raises(
        SettingsError, match=r"fog-a\.crt or its key .*: the key belongs to another certificate$"
    ):
        ServerTls(TlsFiles(cert=made / "fog-a.crt", key=tmp_path / "fog-b.key"))
    with pytest.raises(SettingsError, match=r": .*/away\.key: No such file or directory$"):
        ServerTls(TlsFiles(cert=made / "fog-a.crt", key=tmp_path / "away.key"))
    (tmp_path / "empty.crt").write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    with pytest.raises(SettingsError, match=r"cannot be used: OpenSSL can make nothing of what is in it"):
        ServerTls(TlsFiles(cert=tmp_path / "empty.crt", key=made / "fog-a.key"))
