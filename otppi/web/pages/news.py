"""Live news of open pages."""

from otppi.web.live import Live
from otppi.web.site import LIVE, Response, Visit, get


def since(visit: Visit) -> Response:
    """Return what happened since the page last asked."""
    live: Live = visit.site.facts["live"]
    caller = visit.caller
    return visit.json(live.since(visit.words.language, caller.role, _number(visit.query("after"), live)))


def stream(visit: Visit) -> Response:
    """Send what happens, until the session is over."""
    live: Live = visit.site.facts["live"]
    sessions, token = visit.site.sessions, visit.cookie(visit.cookie_name)
    role = visit.caller.role

    def is_allowed() -> bool:
        session = sessions.look_at(token)
        return session is not None and session.role == role

    last = _number(visit.last_event_id or visit.query("after"), live)
    return live.stream(visit.words.language, role, last, visit.environ, is_allowed)


def _number(text: str, live: Live) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else live.newest()


ROUTES = (get(LIVE, since), get(f"{LIVE}/stream", stream))
