"""The page of a SIM card: its codes, its SMS centre, its operator, and the IMEI of its modem."""

import html
import re

import pytest

from otppi.gateway.policy import GeneralSettings
from otppi.modems.settings import ModemSettings
from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

OLD_IMEI, NEW_IMEI = "490154203237518", "356938035643809"


def settings(pages):
    return pages.gateway.store.items(ModemSettings)["m0"]


@pytest.fixture
def locked(gateway):
    pages = gateway(on_desk=True, modems=(Sim(pin="1234"),))
    pages.wait_until(lambda: pages.state("m0") == "PIN needed")
    return pages


def do(client, what, **fields):
    return client.post(f"/modems/m0/sim/{what}", fields)


def result_of(pages, client, begun):
    assert begun.status == 303
    pages.wait_until(lambda: "You may leave this page" not in client.get(begun.location).visible)
    return client.get(begun.location)


def test_the_page_tells_what_the_modem_tells(pages, owner):
    text = owner.get("/modems/m0/sim").visible
    assert "PIN not asked for" in text
    assert "Tries of the PIN left 3" in text
    assert "SMS centre +6280000000000" in text
    assert pages.lines["m0"].card.printed.iccid not in text


def test_a_wrong_pin_says_what_is_left_and_the_right_one_is_kept(locked):
    owner = admin_client(locked)
    refused = do(owner, "enter", pin="9999")
    assert refused.status == 409
    assert "Tries of the PIN left 2" in refused.visible
    assert 'id="enter-error"' in refused.text
    assert "9999" not in refused.text
    done = owner.follow(do(owner, "enter", pin="1234"))
    assert "The PIN was right and is kept." in done.visible
    locked.wait_until(lambda: locked.state("m0") == "ready")
    assert settings(locked).sim_pin == "1234"


def test_the_last_try_is_never_spent(locked):
    owner = admin_client(locked)
    do(owner, "enter", pin="0001")
    do(owner, "enter", pin="0002")
    assert "Only one try of the PIN is left" in do(owner, "enter", pin="0003").visible
    assert locked.lines["m0"].card.pin_tries_left == 1


def test_a_pin_is_set_changed_and_removed(pages, owner):
    owner.follow(do(owner, "set", pin="0000"))
    assert settings(pages).sim_pin == "0000"
    other = do(owner, "change", pin="", new_pin="4321", repeated="4322")
    assert other.status == 400
    assert "the two new PINs are not the same" in other.visible
    assert "4321" not in other.text
    assert (
        "has its new PIN"
        in owner.follow(do(owner, "change", pin="", new_pin="4321", repeated="4321")).visible
    )
    assert settings(pages).sim_pin == "4321"
    assert "asks for no PIN any more" in owner.follow(do(owner, "drop", pin="")).visible
    assert settings(pages).sim_pin == ""


def test_a_pin_of_the_wrong_form_costs_no_try(locked):
    owner = admin_client(locked)
    page = do(owner, "enter", pin='12"34')
    assert page.status == 400
    assert "four to eight digits" in page.visible
    assert locked.lines["m0"].card.pin_tries_left == 3


def test_a_blocked_sim_is_opened_by_its_puk(gateway):
    pages = gateway(on_desk=True, modems=(Sim(pin="1234"),))
    pages.wait_until(lambda: pages.state("m0") == "PIN needed")
    card = pages.lines["m0"].card
    card.pin_tries_left = 0
    owner = admin_client(pages)
    page = owner.get("/modems/m0/sim")
    assert "Open the blocked SIM card" in page.visible
    done = do(owner, "unblock", puk=card.printed.puk, new_pin="4321", repeated="4321")
    assert "is open and has its new PIN" in owner.follow(done).visible
    pages.wait_until(lambda: pages.state("m0") == "ready")


def test_the_sms_centre_is_set(pages, owner):
    assert "The SMS centre is set." in owner.follow(do(owner, "center", number="+6281100000")).visible
    assert owner.get("/modems/m0/sim").value_of("number") == "+6281100000"
    refused = do(owner, "center", number='+62"')
    assert refused.status == 400
    assert 'id="center-error"' in refused.text


def test_the_operators_in_reach_are_looked_for_and_one_is_chosen(pages, owner):
    page = result_of(pages, owner, owner.post("/modems/m0/scan"))
    assert "Roamnet 00102 available" in page.visible
    page = result_of(pages, owner, owner.post("/modems/m0/register", {"code": "00102"}))
    assert "registered with the chosen operator" in page.visible
    assert "Operator chosen by hand" in owner.get("/modems/m0/sim").visible
    page = result_of(pages, owner, owner.post("/modems/m0/register", {"code": ""}))
    assert "The modem chooses by itself." in page.visible


def test_an_operator_that_refuses_is_told_with_its_reason(pages, owner):
    page = result_of(pages, owner, owner.post("/modems/m0/register", {"code": "00103"}))
    assert "it was refused" in page.visible


def test_a_test_tells_whether_and_what_the_modem_answers(pages, operator):
    page = result_of(pages, operator, operator.post("/modems/m0/test"))
    assert re.search(r"The modem answers, after \d+ ms\.", page.visible)
    assert "Tries of the PIN left 3" in page.visible
    assert pages.lines["m0"].imei not in html.unescape(page.text)


def test_a_modem_that_is_not_there_says_so(gateway):
    pages = gateway(on_desk=True, modems=(Sim(active=False),))
    page = admin_client(pages).get("/modems/m0/sim")
    assert page.status == 200
    assert "the modem is not active" in page.visible
    assert "/sim/enter" not in page.text


def test_an_imei_is_written_only_where_that_is_switched_on_and_confirmed(gateway):
    pages = gateway(on_desk=True, modems=(Sim(personality="quectel", imei=OLD_IMEI),))
    owner = admin_client(pages)
    assert "Write the IMEI" not in owner.get("/modems/m0/sim").visible
    assert do(owner, "imei", imei=NEW_IMEI, is_sure="on").status == 409
    pages.gateway.store.update(GeneralSettings, {"imei_writing": True})
    assert "The law of many countries forbids" in owner.get("/modems/m0/sim").visible
    assert do(owner, "imei", imei=NEW_IMEI).status == 400
    assert pages.lines["m0"].imei == OLD_IMEI
    assert "The IMEI is written" in owner.follow(do(owner, "imei", imei=NEW_IMEI, is_sure="on")).visible
    assert pages.lines["m0"].imei == NEW_IMEI


def test_an_operator_enters_a_pin_and_changes_none(locked):
    admin_client(locked)  # the owner comes first
    operator = admin_client(locked, "operator", "operator")
    assert do(operator, "enter", pin="1234").status == 303
    locked.wait_until(lambda: locked.state("m0") == "ready")
    assert "Change the PIN" not in operator.get("/modems/m0/sim").visible
    do(operator, "change", pin="1234", new_pin="4321", repeated="4321")
    assert settings(locked).sim_pin == "1234"


def test_a_viewer_has_no_such_page(viewer):
    assert viewer.get("/modems/m0/sim").status == 403
    for path in ("sim/enter", "test", "scan", "register", "redial"):
        assert viewer.post(f"/modems/m0/{path}", {"pin": "1234"}).status == 403


def test_it_is_said_where_writing_the_imei_is_switched_on(pages, owner):
    link = '<a href="/settings/general#f-general.imei_writing">'
    assert link in owner.get("/modems/m0/sim").text
    pages.gateway.store.update(GeneralSettings, {"imei_writing": True})
    assert link not in owner.get("/modems/m0/sim").text
