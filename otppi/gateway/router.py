"""Which modems may carry a message, cheapest first."""

from collections.abc import Sequence

from otppi.model.modems import ModemStatus
from otppi.model.number import Number


def tiers(number: Number, modems: Sequence[ModemStatus]) -> list[list[str]]:
    """Return groups of equal modems in the order in which they are to be tried.

    First those with the longest prefix that the number begins with, then those with shorter ones, then the
    default modems, then every other one that the API may use. Inactive, API-disabled and unready modems are
    in no group.
    """
    usable = [modem for modem in modems if modem.is_ready and modem.api_enabled and not modem.internet_access]
    matches = {modem.id: _longest_match(number, modem) for modem in usable}
    groups = [
        [modem.id for modem in usable if matches[modem.id] == length]
        for length in sorted({length for length in matches.values() if length}, reverse=True)
    ]
    unmatched = [modem for modem in usable if not matches[modem.id]]
    groups.append([modem.id for modem in unmatched if modem.is_default])
    groups.append([modem.id for modem in unmatched if not modem.is_default])
    return [group for group in groups if group]


def _longest_match(number: Number, modem: ModemStatus) -> int:
    if number.is_short_code:
        return 0
    return max((len(prefix) for prefix in modem.prefixes if number.digits.startswith(prefix)), default=0)
