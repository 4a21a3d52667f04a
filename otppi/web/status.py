"""The status page: what the device can say to anybody who reaches it."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import bottle

# No style or script from elsewhere, and none that a name of a modem could smuggle in.
_POLICY = (
    "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_STYLE = """
:root{color-scheme:light dark;font-family:system-ui,sans-serif;line-height:1.5}
body{max-width:40rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem}
ul{list-style:none;padding:0}
li{border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:.5rem}
li{padding:.6rem .8rem;margin:.5rem 0}
li::before{content:"●";margin-right:.5rem;color:#c62828}
li.well::before{color:#2e7d32}
li.note::before{color:#757575}
code{overflow-wrap:anywhere}
"""

# Who joined the access point brings the time along; the device takes it only while its own is worth less.
_SCRIPT = """
fetch("/time",{method:"POST",headers:{"Content-Type":"application/json"},
body:JSON.stringify({epoch_ms:Date.now()})}).then(a=>a.json()).then(a=>{if(a.taken)location.reload()})
"""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What the page shows; nothing here is a secret or names a person."""

    device_name: str
    version: str
    doors: tuple[tuple[str, str], ...]  # name, problem or empty
    modems_ready: int
    modems_active: int
    clock_is_trusted: bool = True
    notices: tuple[str, ...] = ()  # what was plugged in or pulled out, the newest first


class StatusPage:
    """The page at / of the admin port."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status
        self._policy = _POLICY.format(style=_digest(_STYLE), script=_digest(_SCRIPT))

    def install(self, app: bottle.Bottle) -> None:
        """Add the route to an application."""
        app.route("/", ["GET", "HEAD"], self._show)

    def _show(self) -> bottle.HTTPResponse:
        return bottle.HTTPResponse(
            _page(self._status()),
            headers={
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": self._policy,
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
            },
        )


def _page(status: Status) -> str:
    modems = f"{status.modems_ready} of {status.modems_active} modems ready"
    lines = [(modems, status.modems_ready > 0)] + [
        (f"{name}: {problem}" if problem else f"{name}: open", not problem) for name, problem in status.doors
    ]
    if not status.clock_is_trusted:
        lines.append(("the clock is not to be trusted", False))
    rows = [f'<li class="{"well" if well else "ill"}">{escape(text)}</li>' for text, well in lines]
    items = "\n".join(rows + [f'<li class="note">{escape(notice)}</li>' for notice in status.notices])
    script = "" if status.clock_is_trusted else f"<script>{_SCRIPT}</script>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(status.device_name)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(status.device_name)}</h1>
<p>OTP-Pi {escape(status.version)} is running. This release is set up from the command line; pages to set
it up here are still to come.</p>
<ul>
{items}
</ul>
<p>On the device, <code>otppi diagnose</code> says more, and <code>otppi --help</code> what can be done.
The REST API describes itself at <code>/docs</code> on its own port.</p>
{script}</body>
</html>
"""


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
