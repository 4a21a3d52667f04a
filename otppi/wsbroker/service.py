"""`otppi ws-broker`: the broker as a service."""

import asyncio
import logging
import resource
import signal
import ssl
from collections.abc import Collection
from pathlib import Path

from otppi.wsbroker.certificate import Certificate
from otppi.wsbroker.door import BACKLOG, listening
from otppi.wsbroker.limits import Limits
from otppi.wsbroker.passwords import PasswordFile
from otppi.wsbroker.server import Broker

log = logging.getLogger(__name__)

# Descriptors that are not connections, or of connections that are about to be closed.
_OTHER_DESCRIPTORS = 64 + BACKLOG


class CannotStart(Exception):
    """Something that the broker needs is not there; the text is a sentence for the owner."""


def serve(
    host: str,
    port: int,
    *,
    htpasswd: Path,
    certificate: Path | None,
    key: Path | None,
    limits: Limits,
    proxies: Collection[str],
) -> None:
    """Run a broker until SIGTERM or SIGINT.

    Raises:
        CannotStart: The port, the accounts or the certificate cannot be had.
    """
    try:
        accounts = PasswordFile(htpasswd)
    except OSError as error:
        raise CannotStart(f"the password file {htpasswd} cannot be read: {error.strerror}") from error
    tls = _certificate(certificate, key)
    try:
        listener = listening(host, port)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # what follows names the port once more
        raise CannotStart(f"port {port} at {host} cannot be had: {reason}") from error
    _allow_descriptors(limits.connections + _OTHER_DESCRIPTORS)
    fields = {"host": host, "port": port, "accounts": len(accounts.accounts()), "tls": tls is not None}
    log.info("listening", extra={"fields": fields})
    asyncio.run(_until_signal(Broker(listener, accounts, limits, certificate=tls, proxies=proxies)))


async def _until_signal(broker: Broker) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await broker.run(stop)
    log.info("ended")


def _certificate(certificate: Path | None, key: Path | None) -> Certificate | None:
    if certificate is None or key is None:
        return None
    try:
        return Certificate(certificate, key)
    except ssl.SSLError as error:
        words = "are not a certificate and its key as PEM, or the key has a passphrase"
        raise CannotStart(f"{certificate} and {key} {words}") from error
    except OSError as error:
        raise CannotStart(f"{error.filename or certificate} cannot be read: {error.strerror}") from error


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        fields = {"wanted": wanted, "allowed": possible}
        log.warning("the system allows fewer connections than were asked for", extra={"fields": fields})
