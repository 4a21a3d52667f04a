import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import bottle
import pytest

from otppi.gateway.rights import Role
from otppi.lib.bus import Bus
from otppi.model.events import (
    BalanceLow,
    BrokerLost,
    DdnsChanged,
    DeliveryReported,
    DeviceNotice,
    HostStrained,
    JobChanged,
    MessageFinished,
    MessageTaken,
    ModemStateChanged,
    NetworkOnTrial,
    Outcome,
    ResetByStick,
    SettingsChanged,
    SmsReceived,
)
from otppi.model.modems import ModemState
from otppi.model.received_pdu import ReportOutcome
from otppi.web.live import Live
from otppi.wsgi.server import WebServer
from otppi.wsgi.streams import Streams

PATIENCE_S = 5.0
RECEIVED = SmsReceived(message_id="m1", modem_id="one", masked_sender="62812•••••34", parts=1)
REPORTED = DeliveryReported(
    message_id="m1", modem_id="one", masked_number="62812•••••34", outcome=ReportOutcome.DELIVERED
)
BROKER_LOST = BrokerLost(broker="mqtt", reason="refused")


class Page:
    """A page that listens."""

    def __init__(self, port: int, role: Role, after: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self._connection.request("GET", f"/live/{role.value}/{after}")
        self.answer = self._connection.getresponse()

    def next(self) -> dict[str, Any]:
        """Return the next event, with the id that the browser would give back."""
        number = None
        while line := self.answer.readline().strip():
            if line.startswith(b"id: "):
                number = int(line.removeprefix(b"id: "))
            elif line.startswith(b"data: "):
                told = json.loads(line.removeprefix(b"data: "))
                assert told["id"] == number
        return told if number is not None else self.next()

    def close(self) -> None:
        self._connection.close()
        self.answer.close()


@dataclass
class Desk:
    bus: Bus
    live: Live
    port: int
    pages: list[Page]

    def page(self, role: Role = Role.OWNER, after: int | None = None) -> Page:
        """Open a page that hears all from now on, or from after a number."""
        one = Page(self.port, role, self.live.newest() if after is None else after)
        self.pages.append(one)
        return one

    def tell(self, *events: object, count: int = 1) -> list[dict[str, Any]]:
        """Publish events and return what is told of them, once that is so much."""
        before = self.live.newest()
        for event in events:
            self.bus.publish(event)
        assert eventually(lambda: self.live.newest() >= before + count)
        return self.live.since("en", Role.OWNER, before)["news"]

    def notices(self, *events: object) -> list[tuple[str, str]]:
        """Return what is noticed of events; the broker's comes last and says that all were heard."""
        before = self.live.newest()
        for event in (*events, BROKER_LOST):
            self.bus.publish(event)

        def told() -> list[tuple[str, str]]:
            news = self.live.since("en", Role.OWNER, before)["news"]
            return [(one["level"], one["text"]) for one in news if one["topic"] == "notice"]

        assert eventually(lambda: any("Mosquitto" in text for _, text in told()))
        return told()[:-1]


@contextmanager
def desk(clock: Any, **options: Any) -> Iterator[Desk]:
    bus, streams = Bus(), Streams("test", **options)
    live = Live(bus, streams, clock)
    app = bottle.Bottle()
    app.route(
        "/live/<role>/<after:int>",
        "GET",
        lambda role, after: live.stream("en", Role(role), after, bottle.request.environ, lambda: True),
    )
    server = WebServer("test", app, "127.0.0.1", 0, threads=2, max_body_bytes=1000)
    streams.start()
    server.start()
    pages: list[Page] = []
    try:
        yield Desk(bus, live, server.port, pages)
    finally:
        server.stop(PATIENCE_S)
        streams.stop()
        bus.stop()
        live.stop()
        for page in pages:
            page.close()


def eventually(holds: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


def state(of: ModemState, reason: str = "", modem: str = "one") -> ModemStateChanged:
    return ModemStateChanged(modem_id=modem, modem_name=modem.upper(), state=of, reason=reason)


def taken(number: int = 1) -> MessageTaken:
    return MessageTaken(
        message_id=f"m{number}",
        modem_id="one",
        modem_name="ONE",
        door="rest",
        user="shop",
        masked_number="62812•••••34",
    )


def finished(number: int = 1, **more: Any) -> MessageFinished:
    return MessageFinished(
        **{
            "message_id": f"m{number}",
            "modem_id": "one",
            "modem_name": "ONE",
            "door": "rest",
            "user": "shop",
            "masked_number": "62812•••••34",
            "parts": 2,
            "outcome": Outcome.SENT,
            "duration_s": 1.23456,
            **more,
        }
    )


# -- what is told


def test_of_a_message_it_is_told_who_took_it_and_what_became_of_it(clock):
    with desk(clock) as one:
        first, second = one.tell(taken(), finished(reason="refused", outcome=Outcome.FAILED), count=2)
    common = {
        "message": "m1",
        "door": "rest",
        "user": "shop",
        "modem": "ONE",
        "modem_id": "one",
        "channel": "sms",
        "number": "62812•••••34",
        "left_out": 0,
        "at": clock.wall,
    }
    assert first == {"id": first["id"], "topic": "taken", **common}
    assert second == {
        "id": first["id"] + 1,
        "topic": "traffic",
        **common,
        "parts": 2,
        "outcome": "failed",
        "reason": "refused",
        "seconds": 1.235,
        "late": False,
    }


@pytest.mark.parametrize(
    ("event", "topic"),
    [
        (state(ModemState.STARTING), "modems"),
        (RECEIVED, "inbox"),
        (REPORTED, "reports"),
        (SettingsChanged(section="otp"), "settings"),
        (JobChanged(job_id="j", state="done"), "jobs"),
    ],
)
def test_what_changes_a_page_is_told_without_what_it_is(clock, event, topic):
    with desk(clock) as one:
        (told,) = one.tell(event)
    assert told == {"id": told["id"], "topic": topic, "at": clock.wall}


def test_under_load_a_page_gets_as_much_as_can_be_looked_at_and_hears_how_much_was_left_out(clock):
    numbers = itertools.count(1)
    with desk(clock) as one:
        page, heard = one.page(), []
        began_s = time.monotonic()
        for number in itertools.islice(numbers, 500):
            one.bus.publish(taken(number))
            one.bus.publish(finished(number))
        one.bus.publish(finished(0, outcome=Outcome.FAILED))

        def hears_of_a_later_one() -> bool:
            one.bus.publish(finished(next(numbers)))
            one.bus.publish(BROKER_LOST)
            while (news := page.next())["topic"] != "notice":
                heard.append(news)
            return int(heard[-1]["message"][1:]) > 500

        assert eventually(hears_of_a_later_one)
        most = 10 * (time.monotonic() - began_s + 1)
    assert [news["message"] for news in heard if news.get("outcome") == "failed"] == ["m0"]
    for topic in ("taken", "traffic"):
        told = [news for news in heard if news["topic"] == topic and news["message"] != "m0"]
        assert 10 <= len(told) <= most
        for before, after in pairwise(told):
            assert int(after["message"][1:]) - int(before["message"][1:]) == 1 + after["left_out"]


def test_many_changes_are_told_once_a_second_and_the_last_of_them_is_told(clock):
    with desk(clock) as one:
        page = one.page()
        began_s = time.monotonic()
        for _ in range(300):
            one.bus.publish(REPORTED)
        assert page.next()["topic"] == page.next()["topic"] == "reports"
        assert 0.9 < time.monotonic() - began_s < 3.0
        one.bus.publish(BROKER_LOST)
        assert page.next()["topic"] == "notice"


def test_its_end_leaves_no_thread_though_something_is_held_back(clock):
    threads = threading.active_count()
    with desk(clock) as one:
        one.tell(REPORTED)
        one.bus.publish(REPORTED)
    assert threading.active_count() == threads


# -- who is told, and what was missed


def test_the_inbox_is_nothing_for_viewers(clock):
    with desk(clock) as one:
        viewer, operator = one.page(Role.VIEWER), one.page(Role.OPERATOR)
        before = one.live.newest()
        one.tell(RECEIVED, REPORTED, count=2)
        assert viewer.next()["topic"] == "reports"
        assert [operator.next()["topic"] for _ in range(2)] == ["inbox", "reports"]
        asked = one.live.since("en", Role.VIEWER, before)
    assert [news["topic"] for news in asked["news"]] == ["reports"]
    assert asked["newest"] == before + 2


def test_a_page_that_comes_back_is_told_what_came_meanwhile(clock):
    with desk(clock) as one:
        page = one.page()
        one.tell(taken(1))
        last = page.next()["id"]
        page.close()
        one.tell(taken(2), taken(3), count=2)
        page = one.page(after=last)
        assert [page.next()["message"] for _ in range(2)] == ["m2", "m3"]
        one.bus.publish(taken(4))
        assert page.next()["message"] == "m4"


def test_a_page_that_was_away_too_long_is_told_to_begin_anew(clock):
    with desk(clock) as one:
        before = one.live.newest()
        for number in range(201):
            one.bus.publish(BrokerLost(broker=f"{number}"))
        assert eventually(lambda: one.live.newest() == before + 201)
        missed = one.page(after=before).next()
        assert (missed["topic"], missed["id"]) == ("missed", before + 201)
        assert one.live.since("en", Role.OWNER, before)["missed"]
        assert not one.live.since("en", Role.OWNER, before + 1)["missed"]
        assert len(one.live.since("en", Role.OWNER, before + 1)["news"]) == 200
        assert len(one.live.notices("en")) == 20
        assert one.live.notices("en")[0]["text"].startswith("The connection to the broker 200 ")


def test_a_page_of_an_earlier_life_of_the_service_is_told_to_begin_anew(clock):
    with desk(clock) as one:
        one.tell(*(taken(number) for number in range(5)), count=5)
        earlier = one.live.newest()
    clock.advance(60)
    with desk(clock) as one:
        assert one.live.since("en", Role.OWNER, one.live.newest()) == {
            "news": [],
            "newest": one.live.newest(),
            "missed": False,
        }
        one.tell(taken())
        assert one.live.since("en", Role.OWNER, earlier)["missed"]
        assert one.page(after=earlier).next()["topic"] == "missed"


def test_a_page_too_many_is_told_to_ask_instead(clock):
    with desk(clock, most=1) as one:
        first = one.page()
        one.tell(taken())
        assert first.next()["topic"] == "taken"  # it is on air
        refused = one.page().answer
        assert (refused.status, refused.getheader("Retry-After")) == (503, "15")


# -- notices


def test_the_life_of_a_modem_is_told_in_words_and_each_trouble_once(clock):
    with desk(clock) as one:
        told = one.notices(
            state(ModemState.STARTING),
            state(ModemState.SEARCHING),
            state(ModemState.READY),
            state(ModemState.STARTING, "a person works on it"),
            state(ModemState.READY),
            state(ModemState.HUNG, "no answer to AT"),
            state(ModemState.RECOVERING, "no answer; its port is opened anew"),
            state(ModemState.RECOVERING, "no answer; it is told to start anew"),
            state(ModemState.READY),
            state(ModemState.READY, modem="two"),
            state(ModemState.SEARCHING, "searching for a network"),
            state(ModemState.READY),
            state(ModemState.ABSENT, "there is no /dev/ttyUSB0"),
            state(ModemState.FAILED, "it does not answer"),
        )
    assert told == [
        ("good", "Modem ONE is ready."),
        ("warn", "Modem ONE does not answer. The device tries to bring it back."),
        ("good", "Modem ONE is ready."),
        ("good", "Modem TWO is ready."),
        ("warn", "Modem ONE has lost the mobile network."),
        ("good", "Modem ONE is ready."),
        ("warn", "Modem ONE is not there: there is no /dev/ttyUSB0"),
        ("bad", "Modem ONE has failed: it does not answer"),
    ]


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (state(ModemState.PIN_NEEDED), "warn", "The SIM card in modem ONE needs its PIN."),
        (state(ModemState.PUK_BLOCKED), "bad", "The SIM card in modem ONE is blocked and needs its PUK."),
        (
            state(ModemState.SIM_BLOCKED, "no SIM card"),
            "bad",
            "The SIM card in modem ONE needs attention: no SIM card",
        ),
        (
            HostStrained(what="temperature", finding="85 °C"),
            "bad",
            "The device is too hot. Give it air and keep it out of the sun.",
        ),
        (
            HostStrained(what="voltage", finding="high enough", is_over=True),
            "good",
            "The voltage of the power supply is high enough again.",
        ),
        (
            NetworkOnTrial(state="trying"),
            "warn",
            "The network was changed on trial. Without a confirmation it goes back by itself.",
        ),
        (NetworkOnTrial(state="confirmed"), "good", "The change of the network was confirmed."),
        (
            NetworkOnTrial(state="taken back", reason="nobody confirmed it"),
            "warn",
            "The change of the network was taken back: nobody confirmed it",
        ),
        (
            BalanceLow(
                modem_id="one", modem_name="ONE", amount="900", valid_until="", reason="900 is below 1000"
            ),
            "warn",
            "The SIM card in modem ONE should be topped up: 900 is below 1000",
        ),
        (
            DdnsChanged(host="otp.example.com", finding="the name is not in the account", is_failure=True),
            "bad",
            "The name otp.example.com does not follow the address of the device: the name is not in the account",
        ),
        (
            ResetByStick(sections=("Admin pages", "Clock")),
            "warn",
            "A USB stick has reset these settings: Admin pages, Clock",
        ),
        (
            ResetByStick(sections=(), refusal="it is too long"),
            "warn",
            "The reset file on a USB stick was refused: it is too long",
        ),
        (JobChanged(job_id="j", state="done", title="Look around"), "good", "Finished: Look around"),
        (JobChanged(job_id="j", state="failed", title="Look"), "bad", "This did not work: Look"),
    ],
)
def test_an_owner_reads_what_happened(clock, event, level, text):
    with desk(clock) as one:
        assert one.notices(event) == [(level, text)]


def test_a_stick_with_many_ports_is_noticed_once_when_it_comes_and_once_when_it_goes(clock):
    def port(number: int, is_present: bool) -> DeviceNotice:
        return DeviceNotice(
            kind="serial",
            name=f"ttyUSB{number}",
            node=f"/dev/ttyUSB{number}",
            description="Huawei E3372",
            is_present=is_present,
        )

    with desk(clock) as one:
        told = one.notices(
            *(port(number, True) for number in range(4)), *(port(number, False) for number in range(4))
        )
    assert told == [("note", "Plugged in: Huawei E3372"), ("note", "Pulled out: Huawei E3372")]
