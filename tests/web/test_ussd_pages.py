"""The dial pad: with a script, without one, and what is never kept."""

import json

import pytest

from otppi.sim.personality import parse_personality
from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

EVIL = "<script>alert(1)</script>"
EVIL_NETWORK = parse_personality("evil", f'ussd *666#  +CUSD: 0,"{EVIL}",15')


def dial(client, code, modem="m0"):
    answer = client.post("/ussd", {"modem": modem, "code": code}, Accept="application/json")
    return answer.status, json.loads(answer.text)


def test_a_menu_is_walked_through_and_ended(owner):
    status, menu = dial(owner, "*123#")
    assert (status, menu) == (200, {"text": "1 Balance\n2 Packages\n0 Back", "replyable": True})
    assert dial(owner, "2")[1] == {"text": "1 Daily\n2 Weekly", "replyable": True}
    assert dial(owner, "1")[1] == {"text": "Daily it is.", "replyable": False}
    dial(owner, "*123#")
    ended = owner.post("/ussd/cancel", {"modem": "m0"}, Accept="application/json")
    assert json.loads(ended.text) == {"text": "The session is ended."}
    status, refused = dial(owner, "2")
    assert status == 503
    assert "the session was cancelled" in refused["error"]


def test_it_goes_without_a_script_as_well(owner):
    page = owner.post("/ussd", {"modem": "m0", "code": "*123#"})
    assert page.status == 200
    assert "2 Packages" in page.visible
    assert "The network waits for your answer." in page.visible
    page = owner.post("/ussd", {"modem": "m0", "code": "1"})
    assert "Sisa pulsa Rp12.500" in page.visible
    assert "The network waits" not in page.visible
    owner.post("/ussd", {"modem": "m0", "code": "*123#"})
    assert "The session is ended." in owner.post("/ussd/cancel", {"modem": "m0"}).visible


@pytest.mark.parametrize(
    ("modem", "code", "reason"),
    [
        ("m0", "5", "no USSD session is open"),
        ("m0", 'AT"', "may hold only"),
        ("other", "*1#", "no such modem"),
    ],
)
def test_what_cannot_be_dialled_says_why(owner, modem, code, reason):
    assert reason in dial(owner, code, modem)[1]["error"]
    page = owner.post("/ussd", {"modem": modem, "code": code})
    assert page.status == 503
    assert reason in page.visible


def test_an_answer_stays_text(gateway):
    pages = gateway(on_desk=True, modems=(Sim(personality=EVIL_NETWORK),))
    page = admin_client(pages).post("/ussd", {"modem": "m0", "code": "*666#"})
    assert EVIL in page.visible
    assert EVIL not in page.text


def test_what_was_dialled_and_answered_is_kept_nowhere(pages, owner):
    dial(owner, "*123#")
    dial(owner, "1")
    pages.gateway.stop()
    kept = b"".join(one.read_bytes() for one in pages.state_dir.rglob("*") if one.is_file())
    assert b"ussd" in kept  # that somebody dialled is in the audit trail
    assert b"*123#" not in kept
    assert b"12.500" not in kept
    pages.gateway = None


def test_the_modem_of_the_link_is_chosen(gateway):
    pages = gateway(on_desk=True, modems=(Sim(), Sim(name="m1"), Sim(name="off", active=False)))
    page = admin_client(pages).get("/ussd?modem=m1")
    assert '<option value="m1" selected>' in page.text
    assert 'value="off"' not in page.text


def test_without_a_modem_there_is_nothing_to_dial(gateway):
    assert (
        "There is no modem that could dial."
        in admin_client(gateway(on_desk=True, modems=())).get("/ussd").visible
    )


def test_a_viewer_may_not_dial(viewer):
    assert viewer.get("/ussd").status == 403
    assert viewer.post("/ussd", {"modem": "m0", "code": "*123#"}).status == 403
    assert viewer.post("/ussd/cancel", {"modem": "m0"}).status == 403
