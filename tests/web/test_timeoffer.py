import json

import pytest

from otppi.web.timeoffer import TimeOffer
from tests.web.admin_client import AdminClient
from tests.web.serving import site

JSON = "application/json"
NOW_MS = 1_800_000_000_123


def test_a_browser_on_the_access_point_may_offer_its_time():
    offered = []
    with site(TimeOffer(is_on_access_point=lambda *_: True, offer=lambda s: not offered.append(s))) as pages:
        answer = pages.ask("POST", "/time", json.dumps({"epoch_ms": NOW_MS}), Content_Type=JSON)
    assert (answer.status, json.loads(answer.body)) == (200, {"taken": True})
    assert offered == [pytest.approx(NOW_MS / 1000)]


def test_a_clock_that_is_trusted_takes_nothing_and_says_so():
    with site(TimeOffer(is_on_access_point=lambda *_: True, offer=lambda _: False)) as pages:
        answer = pages.ask("POST", "/time", json.dumps({"epoch_ms": NOW_MS}), Content_Type=JSON)
    assert (answer.status, json.loads(answer.body)) == (200, {"taken": False})


def test_from_any_other_network_it_is_refused():
    offered = []
    with site(TimeOffer(is_on_access_point=lambda *_: False, offer=offered.append)) as pages:
        answer = pages.ask("POST", "/time", json.dumps({"epoch_ms": NOW_MS}), Content_Type=JSON)
    assert (answer.status, offered) == (403, [])


def test_a_form_of_another_site_cannot_offer_a_time():
    offered = []
    with site(TimeOffer(is_on_access_point=lambda *_: True, offer=offered.append)) as pages:
        answer = pages.ask("POST", "/time", json.dumps({"epoch_ms": NOW_MS}), Content_Type="text/plain")
    assert (answer.status, offered) == (415, [])


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"epoch_ms":"now"}', '{"epoch_ms":true}', '{"epoch_ms":1e99}', '{"epoch_ms":-1}'],
)
def test_nonsense_is_refused(body):
    offered = []
    with site(TimeOffer(is_on_access_point=lambda *_: True, offer=offered.append)) as pages:
        answer = pages.ask("POST", "/time", body, Content_Type=JSON)
    assert (answer.status, offered) == (400, [])


def test_a_page_under_another_name_cannot_offer_a_time():
    offered = []
    with site(TimeOffer(is_on_access_point=lambda *_: True, offer=offered.append)) as pages:
        answer = pages.ask(
            "POST", "/time", json.dumps({"epoch_ms": NOW_MS}), Content_Type=JSON, Host="evil.example:8888"
        )
    assert (answer.status, offered) == (403, [])


def test_pages_for_who_has_not_logged_in_offer_the_time_where_it_would_be_taken(pages):
    """On a desk whoever sits at it is beside the device."""
    nobody = AdminClient(pages.admin_port)
    assert "data-offer-time" in nobody.get("/setup").text
    taken = nobody.ask(
        "POST", "/time", json.dumps({"epoch_ms": NOW_MS}).encode(), Content_Type=JSON, Host="127.0.0.1"
    )
    assert (taken.status, json.loads(taken.text)) == (
        200,
        {"taken": False},
    )  # the clock of a desk is not ours
    assert "data-offer-time" not in nobody.get("/setup", Host=f"localhost:{pages.admin_port}").text
