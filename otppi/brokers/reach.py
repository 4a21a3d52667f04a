"""Whether there is a way to a broker at all, and what is at its end."""

import socket
import ssl

from otppi.brokers.errors import BrokerError, Trouble, from_os
from otppi.brokers.settings import Connection
from otppi.brokers.tls import client_context


def reach(host: str, port: int, timeout_s: float) -> None:
    """Connect and hang up again: the libraries of some protocols hide why they could not.

    Raises:
        BrokerError: Nothing listens there, or there is no way.
    """
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        raise from_os(error) from error


def speaks_tls(host: str, port: int, timeout_s: float) -> bool:
    """Whether there is TLS at a port; what certificate it has does not matter here."""
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            client_context(verify=False).wrap_socket(plain, server_hostname=host),
        ):
            return True
    except OSError:
        return False


def context_for(settings: Connection) -> ssl.SSLContext:
    """Make what TLS needs as the settings say; raises BrokerError for certificates that cannot be used."""
    return client_context(
        ca_pem=settings.ca_certificate,
        certificate_pem=settings.client_certificate,
        key_pem=settings.client_key,
        verify=settings.tls_verify,
    )


def explained(error: BrokerError, settings: Connection) -> BrokerError:
    """Return what is behind an error: a port of TLS breaks a plain connection, or answers what looks like nonsense.

    And a broker that refuses the client's certificate says so after the handshake, which whoever speaks at once may
    not hear any more.
    """
    if settings.tls:
        is_refused = error.trouble is Trouble.LOST and _refuses_certificate(settings)
        return BrokerError(Trouble.OWN_CERTIFICATE) if is_refused else error
    is_suspect = error.trouble in (Trouble.LOST, Trouble.OTHER_PROTOCOL)
    if is_suspect and speaks_tls(settings.host, settings.port, settings.timeout_s):
        return BrokerError(Trouble.NEEDS_TLS)
    return error


def _refuses_certificate(settings: Connection) -> bool:
    try:
        with (
            socket.create_connection((settings.host, settings.port), settings.timeout_s) as plain,
            context_for(settings).wrap_socket(plain, server_hostname=settings.host) as line,
        ):
            line.recv(1)
    except OSError as error:
        return from_os(error).trouble is Trouble.OWN_CERTIFICATE
    return False
