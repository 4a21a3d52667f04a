import re

import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.services.resetting import Resets, keystore
from otppi.system.network.settings import WlanSettings
from otppi.web.pages.power import RESETS, SWITCHES
from tests.services.test_ending import Switch

NUMBER = "628120000001"


def reset(owner, *flags: str, name: str = "Shop"):
    return owner.post("/power/reset", {"flags": list(flags), "name": name})


@pytest.fixture
def shop(pages, owner):
    """A device with a name and something to lose."""
    pages.gateway.store.update(GeneralSettings, {"device_name": "Shop"})
    pages.gateway.store.update(SmsSettings, {"country_code": "49"})
    pages.gateway.store.put(BlockedNumber, NUMBER, {})
    return pages.gateway.store


@pytest.mark.parametrize(("what", "then"), [("service", []), ("reboot", ["reboot"]), ("off", ["power off"])])
@pytest.mark.parametrize("by_script", [True, False])
def test_each_button_ends_the_service_and_does_what_it_says(pages, owner, what, then, by_script):
    if by_script:
        answer = owner.post(f"/power/{what}", Accept="application/json")
        assert (answer.status, answer.text) == (200, "{}")
    else:
        answer = owner.post(f"/power/{what}")
        assert answer.status == 200
        assert SWITCHES[what].doing.split(".")[0] in answer.visible
        assert f'data-doing="{what}"' in answer.text
    pages.ending.wait()
    board = Switch()
    pages.ending.finish(board)
    assert board.asked == then


def test_each_button_asks_before_with_what_it_means(owner):
    page = owner.get("/power")
    for what in SWITCHES:
        assert re.search(rf'action="/power/{what}"[^>]* data-confirm="[^"]*nothing is sent', page.text)


def test_only_what_was_chosen_is_reset(shop, owner):
    page = reset(owner, "RESET_BLOCKING")
    assert page.status == 200
    assert "Block list" in page.visible
    assert not shop.items(BlockedNumber)
    assert shop.get(SmsSettings).country_code == "49"


def test_nothing_is_reset_without_the_name_of_the_device_or_without_a_choice(shop, owner):
    for name in ("", "shop", "Another"):
        page = reset(owner, "RESET_BLOCKING", "RESET_SMS", name=name)
        assert page.status == 422
        assert 'id="name-error"' in page.text
        assert re.search(r'value="RESET_SMS"[^>]* checked', page.text)
    assert "at least one part" in reset(owner).visible
    assert NUMBER in shop.items(BlockedNumber)
    assert shop.get(SmsSettings).country_code == "49"


def test_a_flag_that_is_none_resets_nothing(shop, owner):
    before = {section: shop.items(section) for section in shop.sections}
    page = reset(owner, "RESET_EVERYTHING", "<b>")
    assert page.status == 200
    assert "<b>" not in page.text
    assert {section: shop.items(section) for section in shop.sections} == before


def test_the_network_is_tried_and_not_just_changed(pages, shop, owner):
    pages.wait_until(lambda: pages.gateway.appliance.network.show()["interfaces"])
    with pages.gateway.appliance.network.free_hand():
        shop.update(WlanSettings, {"ssid": "Another"})
    page = reset(owner, "RESET_WLAN")
    way = re.search(r'href="(/network/trial\?after=\d+)"', page.text)
    assert way
    pages.wait_until(lambda: "Keep this network" in owner.get(way[1]).visible)
    assert pages.gateway.appliance.network.trial() is not None


def test_without_administrators_the_session_ends_and_the_page_says_so(shop, owner):
    page = reset(owner, "RESET_USER")
    assert "There is no administrator any more." in page.visible
    assert not shop.items(Administrator)
    assert owner.get("/power").location == "/setup"


def test_every_part_that_can_be_reset_says_what_it_deletes(pages):
    gateway = pages.gateway
    resets = Resets(gateway.store, keystore(gateway._state))
    assert {one["flag"] for one in resets.listed()} == set(RESETS)
    assert {one["flag"] for one in resets.listed() if one["is_network"]} == {
        "RESET_WLAN",
        "RESET_DHCP",
        "RESET_ETHERNET",
    }


def test_power_is_for_owners(pages, operator, viewer):
    for one in (operator, viewer):
        assert {one.get("/power").status, one.get("/power/reset").status} == {403}
        assert {one.post(f"/power/{what}").status for what in (*SWITCHES, "reset")} == {403}
