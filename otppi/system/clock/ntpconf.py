"""The configuration of systemd-timesyncd that the settings make."""

from pathlib import Path

from otppi.lib.atomicfile import write_atomically
from otppi.system.clock.settings import INTERVALS_S, ClockSettings, is_server

FOLDER = Path("/run/systemd/timesyncd.conf.d")
# Later names win over earlier ones, and over timesyncd.conf itself.
_NAME = "otppi.conf"
_READABLE_BY_ALL = 0o644


def timesyncd_conf(settings: ClockSettings) -> str:
    """Return the text of the file; see timesyncd.conf(5).

    A server name that could be more than a name is left out, whoever let it in.
    """
    servers = " ".join(name for name in settings.ntp_server if is_server(name))
    interval_s = INTERVALS_S[settings.ntp_interval] or INTERVALS_S["daily"]
    lines = (
        "[Time]",
        "NTP=",  # forgets what other files name
        f"NTP={servers}",
        # An empty one would leave the servers that Debian built in.
        f"FallbackNTP={servers}",
        f"PollIntervalMaxSec={interval_s}",
    )
    return "\n".join(lines) + "\n"


def write_conf(settings: ClockSettings, folder: Path = FOLDER) -> bool:
    """Write the file for timesyncd, which runs as another user; return whether it is a new one.

    Raises:
        OSError: The file is as it was.
    """
    path, text = folder / _NAME, timesyncd_conf(settings)
    if path.exists() and path.read_text("utf-8", "replace") == text:
        return False
    write_atomically(path, text.encode("ascii"))
    path.chmod(_READABLE_BY_ALL)
    return True
