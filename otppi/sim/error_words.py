"""The words of errors under AT+CMEE=2 (3GPP TS 27.007, 9.2; TS 27.005, 3.2.5)."""

import re

_CME = {
    3: "operation not allowed",
    4: "operation not supported",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    16: "incorrect password",
    30: "no network service",
    32: "network not allowed - emergency calls only",
    50: "incorrect parameters",
    100: "unknown",
}
_CMS = {
    1: "unassigned number",
    21: "short message transfer rejected",
    28: "unidentified subscriber",
    38: "network out of order",
    41: "temporary failure",
    42: "congestion",
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    311: "SIM PIN required",
    331: "no network service",
    332: "network timeout",
    500: "unknown error",
}
_NUMBERED = re.compile(r"\+(CM[ES]) ERROR: (\d+)")


def shown_error(final: str, form: str) -> str:
    """Return a final result as the mode of AT+CMEE wants it; what is no numbered error stays as it is.

    Mode 0 hides `+CME ERROR` only: TS 27.005 knows no plain form of `+CMS ERROR`.
    """
    match = _NUMBERED.fullmatch(final)
    if not match:
        return final
    if match[1] == "CME" and form == "0":
        return "ERROR"
    words = _CME if match[1] == "CME" else _CMS
    if form == "2":
        return f"+{match[1]} ERROR: {words.get(int(match[2]), match[2])}"
    return final
