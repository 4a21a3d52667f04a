"""Requests that no page of ours makes: too long, too many pieces, malformed. Nobody needs a log-in for most of them."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlencode

import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.functions import Caller, Functions
from otppi.gateway.guessing import OneAtATime
from otppi.gateway.rights import RIGHTS, Role
from otppi.lib.passwords import LONGEST_PASSWORD
from otppi.model.errors import BadRequest, TooManyRequests
from otppi.services.gateway import _ADMIN_THREADS
from otppi.web.sending import REFUSED
from tests.web.admin_client import PASSWORD, AdminClient

FORM = "application/x-www-form-urlencoded"
STRANGERS_BYTES = 128 * 1024
BOUNDARY = "X"
FIELD = "Content-Disposition: form-data; name=user"


@pytest.fixture
def nobody(pages, owner) -> AdminClient:
    """A stranger at a device that was set up."""
    return AdminClient(pages.admin_port)


def parts(count: int, head: str = FIELD, ending: str = "--") -> bytes:
    one = f"--{BOUNDARY}\r\n{head}\r\n\r\nx\r\n".encode()
    return one * count + f"--{BOUNDARY}{ending}\r\n".encode()


def multipart(client, body, more="", path="/login", **headers):
    return client.ask(
        "POST", path, body, Content_Type=f"multipart/form-data; boundary={BOUNDARY}{more}", **headers
    )


# -- too long


def test_only_an_owner_may_send_a_long_body(pages, owner, operator, nobody):
    def status(client, **headers):
        return client.ask("POST", "/no/such/page", b"x" * (STRANGERS_BYTES + 1), **headers).status

    stranger = nobody.ask("POST", "/login", b"x" * (STRANGERS_BYTES + 1))
    assert (stranger.status, f"longer than {STRANGERS_BYTES} bytes" in stranger.text) == (413, True)
    assert status(operator) == 413
    assert status(owner) == 404
    tokens = pages.gateway._site.facts["tokens"]
    for role, wanted in (("owner", 404), ("operator", 413)):
        token = tokens.make("owner", role, "")["token"]
        assert status(nobody, Authorization=f"Bearer {token}") == wanted
    assert status(nobody, Authorization="Bearer wrong") == 413
    owner.post("/logout")
    assert status(owner) == 413


def test_a_password_that_is_none_is_wrong_wherever_it_is_typed(pages, owner, nobody):
    long = "a" + "\u0315\u0316" * (LONGEST_PASSWORD // 2)
    answer = nobody.post("/login", {"user": "owner", "password": long})
    assert (answer.status, "Name or password is wrong." in answer.visible) == (401, True)
    program = nobody.ask(
        "POST", "/api/admin/v1/own.show", Authorization=f"Bearer {long}".encode().decode("latin-1")
    )
    assert program.status == 401
    changed = owner.post("/account/password", {"password": PASSWORD, "new_password": long, "again": long})
    assert f"must not be longer than {LONGEST_PASSWORD} characters" in changed.visible
    with pytest.raises(Exception, match="must not be longer"):
        pages.gateway.store.put(Administrator, "other", {"password": long, "role": "viewer"})


# -- too many pieces


def test_a_form_of_thousands_of_fields_is_not_taken_apart(owner, nobody):
    many = urlencode([("a", "")] * 2_002).encode()
    for client in (nobody, owner):
        for answer in (
            client.ask("POST", "/login", many, Content_Type=FORM),
            multipart(client, parts(2_001)),
        ):
            assert (answer.status, "the form has too many fields" in answer.visible) == (400, True)
    # Names and marks that stand across the pieces in which the form is read count as well.
    assert multipart(nobody, parts(1_999)).status == 401
    assert multipart(owner, parts(2_001), path="/account").status == 400
    assert multipart(owner, parts(400_000), path="/backup/read").status == 400


def test_a_form_that_cannot_be_read_is_no_accident(owner, nobody, caplog):
    bodies = {
        "a charset that is none": (parts(1), "; charset=nosuch"),
        "a part in a charset that is none": (
            parts(1, f"{FIELD}\r\nContent-Type: text/plain; charset=nosuch"),
            "",
        ),
        "a length that is none": (parts(1, f"{FIELD}\r\nContent-Length: x"), ""),
        "no end": (parts(1, ending="x"), ""),
        "a part without a name": (parts(1, "X: y"), ""),
        "letters that are none": (parts(1).replace(b"user", b"\xff"), ""),
        "two boundaries": (parts(1), "; boundary=x"),
    }
    for client in (nobody, owner):
        for what, (body, more) in bodies.items():
            answer = multipart(client, body, more)
            assert (answer.status, "cannot be read" in answer.visible) == (400, True), what
        for body in (b"user=%ff", b"a" * 110_000):
            answer = client.ask("POST", "/login", body, Content_Type=FORM)
            assert (answer.status, "cannot be read" in answer.visible) == (400, True)
    assert json.loads(multipart(owner, parts(2_001), path="/account", Accept="application/json").text)[
        "error"
    ]
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "http://[x"},
        {"Origin": "http://[x"},
        {"Origin": "http://[x", "Referer": "http://[x"},
        {"Host": "[x"},
        {"Cookie": "a,b=1"},
        {"Cookie": '[]=1; ="; $x'},
        {"Accept_Language": "id;q=nan,,;q=;q=1"},
    ],
    ids=str,
)
def test_a_malformed_header_is_no_accident(owner, nobody, caplog, headers):
    for client in (nobody, owner):
        for path in ("/login", "/account", "/no/such/page", "/language"):
            assert client.get(path, **headers).status < 500
            assert client.post(path, {"language": "en"}, **headers).status < 500
    assert not [record for record in caplog.records if record.exc_info]


def test_a_strange_cookie_of_another_service_logs_nobody_out(owner):
    ours = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    client = AdminClient(owner.port)
    assert client.get("/account", Cookie=f"a,b=1; {ours}; x/y=z").status == 200


# -- messages for the next page


def test_a_part_that_a_page_renews_takes_no_message_from_the_next_page(owner):
    answer = owner.post("/account/nothing", {}, csrf="too old")
    assert answer.status == 404
    owner.post("/logout", csrf="")
    owner.log_in("owner")
    told = "The page was too old. Please try again."
    assert owner.post("/account/password", {}, csrf="too old").status == 303
    assert told not in owner.get("/account", X_Part="sessions").visible
    assert told in owner.get("/account").visible
    assert told not in owner.get("/account").visible


# -- what takes long


class _Waiting:
    """A function that waits as long as the test likes."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Event()

    def __call__(self, **_: object) -> dict[str, object]:
        self.entered.release()
        assert self.allowed.wait(20)
        return {"response_code": "0000", "data": {}}


@pytest.fixture
def three_at_it(pages, operator):
    """Three calls that wait for a modem."""
    waiting, functions = _Waiting(), pages.gateway._site.functions
    caller = Caller(user="operator", role=Role.OPERATOR, address="127.0.0.1")
    table, functions._table = functions._table, {**functions._table, "ussd.cancel": _cancel(waiting)}
    threads = [
        threading.Thread(target=functions.call, args=("ussd.cancel", caller, {"modem": "m0"}))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
        assert waiting.entered.acquire(timeout=20)
    yield waiting
    waiting.allowed.set()
    for thread in threads:
        thread.join()
    functions._table = table


def _cancel(waiting: _Waiting) -> Callable[..., object]:
    def cancel(modem: str) -> dict[str, object]:
        return waiting()

    return cancel


BUSY = "the device is at too much that takes long; try it again in a moment"


def test_what_takes_long_leaves_half_of_the_threads_to_the_others(owner, operator, three_at_it):
    sent = operator.post("/send", {"number": "081200000001", "text": "typed with care", "modem": ""})
    assert sent.status == REFUSED
    assert BUSY in sent.visible
    assert "typed with care" in sent.text
    ussd = operator.post("/ussd", {"modem": "m0", "code": "*123#"})
    assert BUSY in operator.follow(ussd).visible
    program = operator.ask("POST", "/api/admin/v1/diagnose", X_CSRF_Token=operator.csrf)
    assert (program.status, program.headers["Retry-After"]) == (503, "5")
    # Pages go on, and the first one says why something is missing.
    assert BUSY in operator.get("/").visible
    assert owner.get("/settings/general").status == 200
    three_at_it.allowed.set()


def test_a_place_is_given_back_whatever_comes_of_the_call(pages):
    def fail() -> None:
        raise BadRequest("", "no")

    functions = Functions({"diagnose": fail}, audit=None)
    caller = Caller(user="viewer", role=Role.VIEWER, address="127.0.0.1")
    for _ in range(10):
        with pytest.raises(BadRequest, match="no"):
            functions.call("diagnose", caller, {})


def test_what_waits_for_modems_or_the_network_is_known_to_take_long():
    waits = (
        "send",
        "inbox.reply",
        "ussd",
        "sim.operators",
        "sim.pin.enter",
        "balance.ask",
        "certificate.put",
    )
    assert all(RIGHTS[name].is_slow for name in waits)
    assert not any(RIGHTS[name].is_slow for name in ("modem.list", "inbox.list", "settings.set", "own.show"))


def test_guessers_hold_no_more_than_half_of_the_threads(pages, owner):
    slow = pages.gateway._site.facts["accounts"]._slow
    held, entered, allowed = [], threading.Semaphore(0), threading.Event()

    def take_turn() -> None:
        with suppress(TooManyRequests), slow.turn():
            held.append(True)
            entered.release()
            assert allowed.wait(20)

    first = threading.Thread(target=take_turn)
    first.start()
    assert entered.acquire(timeout=20)
    queued = [threading.Thread(target=take_turn) for _ in range(_ADMIN_THREADS // 2 - 1)]
    for thread in queued:
        thread.start()
    pages.wait_until(lambda: slow._queue._value == 0)
    refused = AdminClient(pages.admin_port).post("/login", {"user": "owner", "password": PASSWORD})
    assert refused.status == 429
    assert owner.get("/account").status == 200
    allowed.set()
    for thread in (first, *queued):
        thread.join()


def test_the_length_of_the_queue_for_slow_hashes_is_what_was_asked_for():
    slow = OneAtATime(most_threads=1)
    with slow.turn(), pytest.raises(TooManyRequests), slow.turn():
        pass
