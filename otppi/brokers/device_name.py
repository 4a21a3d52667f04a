"""What this device is called at a broker that must know it again."""

import hashlib
import hmac
import socket
from pathlib import Path

_MACHINE_ID = Path("/etc/machine-id")
_LENGTH = 12


def device_name() -> str:
    """Return the same name at each start, and another one on each device; it does not reveal the machine ID."""
    try:
        identity = _MACHINE_ID.read_bytes().strip()
    except OSError:
        identity = b""
    # Made as machine-id(5) demands of an ID that others get to see. A container may have none.
    digest = hmac.digest(identity or socket.gethostname().encode(), b"otppi broker client", hashlib.sha256)
    return f"otppi-{digest.hex()[:_LENGTH]}"
