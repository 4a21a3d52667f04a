"""Puts the radio under the rules of the country that is set; runs once, before the access point comes up.

Started as the gateway's user with CAP_NET_ADMIN.
"""

import logging
from pathlib import Path

from otppi.settings.store import SettingsStore
from otppi.system.network.radio import present_country, set_country
from otppi.system.network.settings import WlanSettings

log = logging.getLogger(__name__)


def apply_country(state_dir: Path) -> str:
    """Set the regulatory domain and return the country; a radio that is under it already is left alone.

    Raises:
        HostError: The kernel refused, or iw is missing.
    """
    country = (
        SettingsStore(state_dir, (WlanSettings,), None, read_only=True).get(WlanSettings).country.upper()
    )
    if present_country() != country:
        set_country(country)
        log.info("the country of the radio was set", extra={"fields": {"country": country}})
    return country
