"""TLS to a broker, or from a publisher to one: what a server must prove, and what this side shows."""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator

from otppi.brokers.errors import BrokerError, Trouble


def client_context(
    *, ca_pem: str = "", certificate_pem: str = "", key_pem: str = "", verify: bool = True
) -> ssl.SSLContext:
    """Make the context of one connection.

    Args:
        ca_pem: Certificates of whoever vouches for the server; empty for those that the system trusts.
        certificate_pem: The client's own certificate, with what lies between it and its CA; empty for none.
        key_pem: Its private key, without a passphrase.
        verify: Whether the server must have a certificate that is vouched for, of the name it is called by.

    Raises:
        BrokerError: A certificate or key cannot be read, or they do not belong together.
    """
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        if certificate_pem:
            with as_file(certificate_pem) as certificate, as_file(key_pem) as key:
                context.load_cert_chain(certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise BrokerError(Trouble.OWN_CERTIFICATE, str(error)) from error
    return context


def secured(plain: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Speak TLS on a connection; it is closed if that fails.

    Raises:
        BrokerError: The other side does not speak TLS.
        OSError: It does, and something else is wrong.
    """
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLEOFError as error:
        plain.close()
        raise BrokerError(Trouble.NOT_TLS, "it hung up") from error
    except OSError:
        plain.close()
        raise


@contextlib.contextmanager
def as_file(pem: str) -> Iterator[str]:
    """Yield the path of a file that never reaches a disk: keys are read from files only."""
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem.encode())
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
