"""The time of a browser, for a device whose own clock cannot be trusted."""

import json
from collections.abc import Callable

import bottle

_LONGEST_BODY_BYTES = 200
# A form of another site cannot send this without asking the device first, which it does not allow.
_JSON = "application/json"


class TimeOffer:
    """Takes the time from browsers that joined the access point; who has its passphrase stands beside the device."""

    def __init__(
        self, *, is_on_access_point: Callable[[str, str], bool], offer: Callable[[float], bool]
    ) -> None:
        """Take what decides.

        Args:
            is_on_access_point: Whether a request to this address of ours, from that address, came over the access
                point.
            offer: Gets seconds since the epoch; says whether they were taken, which they are only while the
                clock is not trusted.
        """
        self._is_on_access_point = is_on_access_point
        self._offer = offer

    def install(self, app: bottle.Bottle) -> None:
        """Add the route to an application."""
        app.route("/time", "POST", self._take)

    def _take(self) -> bottle.HTTPResponse:
        environ = bottle.request.environ
        address = environ.get("SERVER_ADDR", "")
        # While the device is set up, every name leads to it: a page of another name is another's.
        is_ours = environ.get("HTTP_HOST", "").partition(":")[0] == address
        if not is_ours or not self._is_on_access_point(address, environ.get("REMOTE_ADDR", "")):
            return _answer(403, taken=False)
        if environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower() != _JSON:
            return _answer(415, taken=False)
        epoch_s = _read(bottle.request.body.read(_LONGEST_BODY_BYTES))
        if epoch_s is None:
            return _answer(400, taken=False)
        return _answer(200, taken=self._offer(epoch_s))


def _read(body: bytes) -> float | None:
    try:
        epoch_ms = json.loads(body)["epoch_ms"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(epoch_ms, int | float) or isinstance(epoch_ms, bool) or not 0 < epoch_ms < 1e14:
        return None
    return epoch_ms / 1000


def _answer(status: int, *, taken: bool) -> bottle.HTTPResponse:
    return bottle.HTTPResponse(
        json.dumps({"taken": taken}),
        status=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
    )
