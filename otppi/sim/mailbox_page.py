"""The pages of the demo's mailbox. Whatever an e-mail holds, nothing of it runs here and nothing is loaded for it."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from otppi.sim.delivered_email import DeliveredEmail

_REFRESH_S = 3
# The frame that an e-mail is in has the same policy (HTML, srcdoc): its own styles and no more.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
)
_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 48rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; }
h2 { font-size: 1rem; margin-bottom: .25rem; }
ul { list-style: none; padding: 0; }
li a { display: block; padding: .75rem 0; border-top: 1px solid #8888; color: inherit; text-decoration: none; }
li a:hover strong, li a:focus strong { text-decoration: underline; }
li span { display: block; }
pre { white-space: pre-wrap; font-size: .9rem; }
iframe { width: 100%; height: 24rem; border: 1px solid #8888; background: #fff; color-scheme: light; }
"""


def listed(emails: Mapping[str, DeliveredEmail]) -> str:
    """Draw the list of e-mails, by the paths of their pages; it looks again by itself."""
    lines = "".join(
        f'<li><a href="{escape(path)}"><strong>{_subject(email.subject)}</strong>'
        f"<span>To {escape(email.receiver)}</span><span>{email.at:%Y-%m-%d %H:%M:%S}</span></a></li>\n"
        for path, email in emails.items()
    )
    body = (
        f"<ul>\n{lines}</ul>"
        if lines
        else "<p>Nothing has come yet. Whatever the demo sends appears here.</p>"
    )
    return _page("Demo mailbox", f"<h1>Demo mailbox</h1>\n{body}", is_live=True)


def opened(email: DeliveredEmail) -> str:
    """Draw one e-mail.

    Raises:
        OSError: Its file is gone.
    """
    parts = email.parts()
    body = [
        '<p><a href="/">All e-mails</a></p>',
        f"<h1>{_subject(email.subject)}</h1>",
        f"<p>To {escape(email.receiver)}<br>{email.at:%Y-%m-%d %H:%M:%S}</p>",
    ]
    if parts.plain is not None:
        body.append(f"<h2>Text</h2>\n<pre>{escape(parts.plain)}</pre>")
    if parts.html is not None:
        frame = f'<iframe sandbox="" srcdoc="{escape(parts.html)}" title="The e-mail as HTML"></iframe>'
        body.append(f"<h2>HTML</h2>\n{frame}")
    body.append(f"<h2>Headers</h2>\n<pre>{escape(parts.head)}</pre>")
    body.append(f"<p>The whole e-mail is in {escape(str(email.path))}</p>")
    return _page(email.subject or "Demo mailbox", "\n".join(body))


def lost() -> str:
    """Draw what is shown where nothing is."""
    return _page("Not found", '<h1>There is no such e-mail any more</h1>\n<p><a href="/">All e-mails</a></p>')


def _subject(subject: str) -> str:
    return escape(subject) or "(no subject)"


def _page(title: str, body: str, *, is_live: bool = False) -> str:
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH_S}">\n' if is_live else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""
