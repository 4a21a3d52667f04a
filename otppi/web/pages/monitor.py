"""The monitor: where messages come from, which modem takes them, and what becomes of them, while it happens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otppi.model.events import Channel
from otppi.web import broker_words, mail_words, modem_words
from otppi.web.outcomes import CHANNELS, DOORS, OUTCOMES
from otppi.web.site import Response, Visit, get
from otppi.web.words import N_, Words

# The first is what a page shows at once; the device remembers no more than all.
_ROWS, _ALL_ROWS = 20, 200
# The servers of "door.list", plain and encrypted, that let in what comes through a door of `DOORS`.
_SERVERS: Mapping[str, tuple[str, str]] = {
    "rest": ("rest", "rest-tls"),
    "vendor": ("vendor", "vendor-tls"),
    "admin": ("admin", "admin-tls"),
}
_OPTIONAL = frozenset({"vendor"})  # of which nothing is shown while it is off
_OPEN: Mapping[tuple[bool, bool], str] = {
    (True, True): N_("HTTP and HTTPS"),
    (True, False): N_("HTTP"),
    (False, True): N_("HTTPS"),
    (False, False): N_("closed"),
}
# The picture, in units of which it is 360 wide.
_NODE_HEIGHT, _NODE_STEP = 40, 52
_LONGEST_NAME = 15


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A box of the picture; `y` is its upper edge."""

    key: str
    title: str
    text: str  # below the title
    is_open: bool
    y: float

    @property
    def middle(self) -> float:
        return self.y + _NODE_HEIGHT / 2

    @property
    def short_title(self) -> str:
        return self.title if len(self.title) <= _LONGEST_NAME else f"{self.title[: _LONGEST_NAME - 1]}…"


def show(visit: Visit) -> Response:
    """Show the way of messages, and the last of them."""
    words = visit.words
    doors = _doors(words, visit.call("door.list"), visit.call("broker.list"), visit.call("smtp.show"))
    modems = [
        *(
            _modem(words, one)
            for one in visit.call("modem.list")
            if one["active"] and not one["internetAccess"]
        ),
        *(_vendor(words, one) for one in visit.call("vendor_route.list") if one["active"]),
        *_email(words, visit.call("email_account.list")),
    ]
    messages = visit.call("traffic.recent")["messages"]
    most = _ALL_ROWS if visit.query("all") else _ROWS
    height = _NODE_STEP * max(len(doors), len(modems), 1)
    return visit.page(
        "monitor.html",
        title=words("Monitor"),
        height=height,
        node_height=_NODE_HEIGHT,
        doors=_placed(doors, height),
        modems=_placed(modems, height),
        rows=[_row(words, one) for one in messages[:most]],
        most_rows=most,
        has_more=len(messages) > most,
        outcomes={outcome: (level, words(title)) for outcome, (level, title) in OUTCOMES.items()},
        door_titles={door: words(title) for door, title in DOORS.items()},
        zone=str(visit.site.device.zone()),
    )


def _doors(
    words: Words,
    servers: Sequence[Mapping[str, Any]],
    brokers: Sequence[Mapping[str, Any]],
    smtp: Mapping[str, Any],
) -> list[tuple[str, str, str, bool]]:
    planned = {one["name"] for one in servers}
    opened = {one["name"] for one in servers if not one["problem"]}
    broker_by_name = {one["name"]: one for one in brokers}
    doors = []
    for door, title in DOORS.items():
        if (broker := broker_by_name.get(door)) is not None:
            if broker["enabled"]:
                standing = broker_words.STATES[broker["state"]]
                doors.append((door, title, words(standing[1]), standing[0] == "good"))
        elif door == "smtp":
            if smtp["active"]:
                text = words("listening") if smtp["listening"] else words("closed")
                doors.append((door, words(title), text, smtp["listening"]))
        elif (names := _SERVERS.get(door)) is None:
            doors.append((door, words(title), "", True))
        elif door not in _OPTIONAL or not planned.isdisjoint(names):
            plain, encrypted = (name in opened for name in names)
            doors.append((door, words(title), words(_OPEN[plain, encrypted]), plain or encrypted))
    return doors


def _modem(words: Words, modem: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    title = words(modem_words.standing(modem).title)
    return modem["id"], modem["name"], title, modem_words.is_ready(modem) and modem["apiEnabled"]


def _vendor(words: Words, route: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    standing = modem_words.vendor_standing(route)
    return route["id"], route["name"], words(standing.title), standing.level == "good"


def _email(words: Words, accounts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, bool]]:
    """Give one node for all accounts: there may be dozens."""
    level, text = mail_words.ready(words, accounts)
    if text:
        yield Channel.EMAIL, words(CHANNELS[Channel.EMAIL]), text, level != "bad"


def _placed(nodes: Sequence[tuple[str, str, str, bool]], height: float) -> list[_Node]:
    top = (height - _NODE_STEP * len(nodes) + _NODE_STEP - _NODE_HEIGHT) / 2
    return [
        _Node(key=key, title=title, text=text, is_open=is_open, y=top + number * _NODE_STEP)
        for number, (key, title, text, is_open) in enumerate(nodes)
    ]


def _row(words: Words, message: Mapping[str, Any]) -> dict[str, Any]:
    level, title = OUTCOMES[message["outcome"]]
    door = message["door"]
    return {
        "message": message["message_id"],
        "at": words.clock(message["at"]),
        "door": words(DOORS.get(door, door)),
        "user": message["user"],
        "modem": message["modem"],
        "number": message["number"],
        "parts": words.number(message["parts"]),
        "level": level,
        "outcome": words(title),
        "reason": words.said(message["reason"]),
        "seconds": words.number(message["duration_s"], 1),
    }


ROUTES = (get("/monitor", show),)
