"""Whether there is a way to a broker at all."""

import socket

from otppi.brokers.errors import from_os


def reach(host: str, port: int, timeout_s: float) -> None:
    """Connect and hang up again: the libraries of some protocols hide why they could not.

    Raises:
        BrokerError: Nothing listens there, or there is no way.
    """
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError as error:
        raise from_os(error) from error
