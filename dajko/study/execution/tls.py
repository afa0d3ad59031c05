"""Certificates for Dask's TLS, and the rule that nothing is sent over a network without it.

Whoever can speak to a Dask scheduler or worker can run code as its user. With TLS, all who take part hold a certificate of
one authority, and nobody else gets through the handshake.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
import stat
from pathlib import Path
from urllib.parse import urlsplit

import dask
from distributed import Security

from dajko.errors import InputError
from dajko.study.config.cluster import Certificates

CA, CERT, KEY = "ca.pem", "cert.pem", "key.pem"
_ENCRYPTED = ("tls", "wss")


def make_certificates(directory: Path, days: int = 365) -> Certificates:
    """Make an authority, a certificate and its key in a directory that only its owner can enter.

    The key of the authority is thrown away: nobody can make further certificates for this cluster.

    Parameters
    ----------
    directory : Path
        Made if it is not there.
    days : int
        How long the certificates are valid.

    Raises
    ------
    InputError
        If the package cryptography is missing, or the directory holds a set or cannot be written.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError:
        raise InputError(
            "making certificates needs the package cryptography; install it with `pip install 'dajko[slurm]'`"
        ) from None

    now = dt.datetime.now(dt.UTC)

    def signed(
        name: str, public: ec.EllipticCurvePublicKey, issuer: str, by: ec.EllipticCurvePrivateKey, authority: bool
    ) -> bytes:
        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))  # the clocks of the hosts differ
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
            .sign(by, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, name = "dajko cluster authority", "dajko cluster"
    files = {
        CA: signed(authority, authority_key.public_key(), authority, authority_key, authority=True),
        CERT: signed(name, key.public_key(), authority, authority_key, authority=False),
        KEY: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    present = [file for file in files if (directory / file).exists()]
    if present:
        raise InputError(f"{directory}: holds {present[0]} already; give another directory, or remove it")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for file, content in files.items():
            handle = os.open(directory / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}") from None
    return in_directory(directory)


def in_directory(directory: Path) -> Certificates:
    """The set that :func:`make_certificates` has made in a directory."""
    return Certificates(**{key: str(directory / file) for key, file in (("ca", CA), ("cert", CERT), ("key", KEY))})


def security(certificates: Certificates, where: str = "cluster.tls") -> Security:
    """Dask's security settings for a set of certificates: only who holds a certificate of its authority takes part.

    Raises
    ------
    InputError
        If a file cannot be read or used, or others than its owner can read the key.
    """
    files = {name: Path(path).expanduser().absolute() for name, path in certificates.model_dump().items()}
    for name, path in files.items():
        try:
            path.read_bytes()
        except OSError as error:
            raise InputError(f"{where}.{name}: {path}: cannot be read: {error.strerror}") from None
    if stat.S_IMODE(files["key"].stat().st_mode) & 0o077:
        raise InputError(f"{where}.key: {files['key']}: can be read by others than its owner; chmod 600 {files['key']}")
    try:
        context = ssl.create_default_context(cafile=str(files["ca"]))
    except ssl.SSLError:
        raise InputError(f"{where}.ca: {files['ca']}: is not a certificate in PEM format") from None
    try:
        context.load_cert_chain(files["cert"], files["key"])
    except ssl.SSLError as error:
        problem = f"are not a certificate and its key in PEM format ({error.reason})"
        raise InputError(f"{where}: {files['cert']} and {files['key']} {problem}") from None
    ca, cert, key = (str(files[name]) for name in ("ca", "cert", "key"))
    return Security(
        require_encryption=True,
        tls_ca_file=ca,
        **{
            f"tls_{role}_{part}": path
            for role in ("client", "scheduler", "worker")
            for part, path in (("cert", cert), ("key", key))
        },
    )


def security_for(
    address: str, certificates: Certificates | None, allow_plain_text: bool, where: str = "cluster.address"
) -> Security | None:
    """Security settings for a scheduler's address, None for plain text.

    Raises
    ------
    InputError
        For plain text beyond this machine that is not allowed, for a ``tls://`` address without certificates, and for an
        address without a port.
    """
    scheme = _scheme(address)
    if scheme in ("tcp", "tls") and ":" not in address.split("://")[-1]:
        raise InputError(f"{where}: {address} has no port; an address is such as tcp://127.0.0.1:8786 or tls://host:8786")
    if scheme in _ENCRYPTED:
        if certificates is not None:
            return security(certificates)
        if dask.config.get("distributed.comm.tls.client.cert"):  # the user's own configuration of Dask
            return Security(require_encryption=True)
        raise InputError(
            f"cluster.tls: is missing, but {address} needs certificates: give ca, cert and key, "
            "such as `dajko cluster certificates` makes them"
        )
    if certificates is not None:
        raise InputError(
            f"{where}: {address} is plain text, but cluster.tls is given; start the scheduler with `--protocol tls`"
        )
    if not allow_plain_text and not on_this_machine(address):
        raise InputError(
            f"{where}: {address} is plain text on a network, where whoever reaches it can run code as you; make "
            "certificates with `dajko cluster certificates DIR`, start scheduler and workers with them, and use its tls:// "
            "address, or set allow_plain_text: true"
        )
    return None


def on_this_machine(address: str) -> bool:
    """Whether an address is on loopback."""
    if _scheme(address) == "inproc":
        return True
    host = urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _scheme(address: str) -> str:
    return address.split("://")[0] if "://" in address else "tcp"
