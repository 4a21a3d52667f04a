"""One file for each vendor of dynamic DNS."""

import importlib

from otppi.ddns.outcome import Provider


def provider(name: str) -> Provider:
    """Return the vendor that a record names; what it needs is loaded when it is first asked for."""
    module: Provider = importlib.import_module(f"otppi.ddns.providers.{name}")
    return module
