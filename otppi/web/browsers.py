"""What a browser is called by people."""

import re

from otppi.web.words import Words

# Each also says that it is some of those behind it.
_BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "UCBrowser": "UC Browser",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Macintosh": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
_LONGEST = 40


def browser_of(agent: str, words: Words) -> str:
    """Return browser and system by the header `User-Agent`, which may be anything."""
    browser = next((name for token, name in _BROWSERS.items() if f"{token}/" in agent), "")
    system = next((name for token, name in _SYSTEMS.items() if re.search(rf"\b{token}\b", agent)), "")
    if browser and system:
        return words("{browser} on {system}", browser=browser, system=system)
    return browser or system or agent[:_LONGEST] or words("unknown")
