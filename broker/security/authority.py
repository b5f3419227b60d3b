"""A small certificate authority of one's own, for nodes and devices: files in a folder, and nothing else."""

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.contract.identity import Role
from broker.errors import SettingsError
from broker.security.rules import name_fault

CA_DAYS = 10 * 365
"""Long, since a new authority has to be brought to every node and device."""

DAYS = 2 * 365
BACKDATED = dt.timedelta(hours=1)
"""A certificate is valid from this long before it was made: the clocks of small computers may be slow."""


@dataclass(frozen=True, slots=True)
class Written:
    """Where a certificate and its key were written."""

    cert: Path
    key: Path


def make_authority(folder: Path, *, name: str = "Weighbridge CA") -> Written:
    """Make the authority `ca.crt` and `ca.key` in a folder.

    Raises SettingsError where it is there already.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, subject, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
    )
    return _write(folder, "ca", builder.sign(key, hashes.SHA256()), key)


def make_certificate(
    folder: Path, name: str, role: Role, *, hosts: Sequence[str] = (), days: int = DAYS
) -> Written:
    """Make `NAME.crt` and `NAME.key`, signed by the authority in the same folder. Raises SettingsError.

    A node's serves its listeners and its links; `hosts` are the names and addresses it is reached by.
    """
    fault = name_fault(name) or ("has more than 64 characters" if len(name) > 64 else None)
    if fault is not None or name == "ca":
        raise SettingsError(f"certificate name {name!r} {fault or 'is the authority itself'}")
    ca, ca_key = _read_authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role),
        ]
    )
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if role is Role.NODE:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(subject, ca.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if role is Role.NODE:
        names = [_host(one) for one in dict.fromkeys((*hosts, name))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _write(folder, name, builder.sign(ca_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as fault:
        raise SettingsError(f"host {host!r} is neither a DNS name nor an IP address") from fault


def _read_authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        ca = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as fault:
        raise SettingsError(
            f"there is no usable authority in {folder} ({fault});"
            f" `fog-broker cert ca --folder {folder}` makes one"
        ) from fault
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"the key {folder / 'ca.key'} was not made by `fog-broker cert ca`")
    return ca, key


def _write(folder: Path, name: str, cert: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Written:
    written = Written(folder / f"{name}.crt", folder / f"{name}.key")
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(written.key, pem, 0o600)
        _write_new(written.cert, cert.public_bytes(serialization.Encoding.PEM), 0o644)
    except FileExistsError as fault:
        raise SettingsError(
            f"{fault.filename} is there already; remove it first if it is not needed any more"
        ) from None
    except OSError as fault:
        raise SettingsError(f"{folder} cannot be written: {fault}") from fault
    return written


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
