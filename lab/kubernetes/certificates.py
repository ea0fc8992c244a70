"""The certificates of a control plane: the cluster's own CA signs everything that Kubernetes trusts."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.private_files import write_private

LIFETIME = datetime.timedelta(days=365)
"""A year, as kubeadm gives (and as gateways on Jetstream2 find out when it is over)."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclasses.dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority that can sign."""

    certificate: x509.Certificate
    key: PrivateKey


def load_authority(certificate: Path, key: Path) -> Authority:
    """Reads a CA from PEM files.

    Raises:
        OSError: if a file is missing.
        ValueError: if one is not PEM, or the key is neither RSA nor ECDSA.
    """
    loaded = serialization.load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"{key} holds a {type(loaded).__name__}; RSA or ECDSA is needed")
    return Authority(certificate=x509.load_pem_x509_certificate(certificate.read_bytes()), key=loaded)


def make_authority(common_name: str, certificate: Path, key: Path) -> None:
    """Makes a self-signed CA and writes it to two PEM files (the key with mode 0600)."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = _subject(common_name)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + 10 * LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(private, hashes.SHA256())
    )
    write_private(key, _pem(private))
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))


def issue(
    authority: Authority,
    certificate: Path,
    key: Path,
    *,
    common_name: str,
    organization: str | None = None,
    addresses: Sequence[str] = (),
) -> None:
    """Issues a certificate good for both ends of TLS and writes it with its key to PEM files.

    Args:
        authority: who signs.
        certificate, key: the files; the key's mode is 0600.
        common_name: Kubernetes' user name.
        organization: Kubernetes' group.
        addresses: host names and IP addresses that it serves; none for a client.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(common_name, organization))
        .issuer_name(authority.certificate.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    )
    if addresses:
        names = [_general_name(address) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    made = builder.sign(authority.key, hashes.SHA256())
    write_private(key, _pem(private))
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))


def make_signing_key(private: Path, public: Path) -> None:
    """Makes the key pair that signs and checks service accounts' tokens."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(private, _pem(key))
    write_private(
        public,
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


def _subject(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
