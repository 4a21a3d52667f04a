"""Message brokers: how the connections stand, trying them, and their settings."""

from collections.abc import Iterator

from otppi.gateway.rights import Role
from otppi.model.errors import OtpPiError
from otppi.web import broker_words, sheets
from otppi.web.outcomes import BROKERS
from otppi.web.site import Response, Route, Visit, get, post


def show(visit: Visit) -> Response:
    """Show all brokers."""
    return visit.page(
        "brokers.html",
        title=visit.words("Message brokers"),
        cards=[broker_words.card(visit, one) for one in visit.call("broker.list")],
    )


def _routes_of(name: str) -> Iterator[Route]:
    path = f"/brokers/{name}"

    def one(visit: Visit, error: OtpPiError | None = None) -> Response:
        card = next(broker_words.card(visit, one) for one in visit.call("broker.list") if one["name"] == name)
        return visit.page(
            "broker.html",
            status=200 if error is None else error.status,
            title=visit.words.said(card.broker["title"]),
            card=card,
            sheet=sheets.draw(visit, (name,), error),
        )

    def test(visit: Visit) -> Response:
        found = visit.call("broker.test", broker=name)
        text = visit.words.said(found["finding"])
        detail = f" ({found['detail']})" if found["detail"] else ""
        return visit.redirect(_back(visit, path), text + detail, "good" if found["works"] else "bad")

    def reconnect(visit: Visit) -> Response:
        visit.call("broker.reconnect", broker=name)
        return visit.redirect(_back(visit, path), visit.words("The connection is made anew."))

    yield get(path, one, Role.OWNER)
    yield from sheets.saving(path, name, one)
    yield post(f"{path}/test", test, Role.OPERATOR)
    yield post(f"{path}/reconnect", reconnect, Role.OPERATOR)


def _back(visit: Visit, path: str) -> str:
    return path if visit.can("settings.set") else "/brokers"


ROUTES = (get("/brokers", show), *(route for name in BROKERS for route in _routes_of(name)))
