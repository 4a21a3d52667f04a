import json
import re

from otppi.settings.paths import ONLY
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings
from tests.web.test_settings_pages import fields_of

PASSPHRASE = "a passphrase that nobody may see"


def form_of(owner) -> dict[str, str]:
    return fields_of(owner.get("/network"), "/network")


def settled(pages) -> None:
    """Wait until the simulated host has the first network."""
    pages.wait_until(lambda: pages.gateway.appliance.network.show()["interfaces"])


def stage(owner, path="/network/trial") -> str:
    return json.loads(owner.get(path, Accept="application/json").raw)["stage"]


def saved(pages, owner, **changes: str) -> str:
    """Save changes by the page, and return where it leads to."""
    settled(pages)
    given = {name.replace("__", "."): value for name, value in changes.items()}
    answer = owner.post("/network", {**form_of(owner), **given})
    assert answer.status == 303, answer.visible
    return answer.location


def test_shows_what_the_network_really_is(pages, owner, viewer):
    settled(pages)
    for who in (owner, viewer):
        seen = who.get("/network").visible
        assert "192.168.0.11/24" in seen
        assert "WPA2 and WPA3" in seen
        assert "otppi.local" in seen
    assert "Save and try" not in viewer.get("/network").visible
    assert viewer.get("/network/trial").status == 403
    assert viewer.post("/network", {"wlan.ssid": "Mine"}).status == 403


def test_a_change_is_on_trial_until_it_is_kept(pages, owner):
    path = saved(pages, owner, wlan__ssid="Toko <b>Kita", wlan__passphrase=PASSPHRASE)
    pages.wait_until(lambda: stage(owner, path) == "reachable")
    page = owner.get(path)
    token = page.value_of("token")
    assert f"http://127.0.0.1:{pages.admin_port}/network/confirm/{token}" in page.visible
    assert 'src="data:image/svg+xml' in page.text
    assert "on trial" in owner.get("/network").visible
    kept = owner.follow(owner.post("/network/trial/confirm", {"token": token}))
    assert "The network stays as it is now." in kept.visible
    assert "on trial" not in kept.visible
    assert "Toko <b>Kita" in kept.visible
    assert "<b>Kita" not in kept.text
    assert PASSPHRASE not in kept.text + page.text
    assert pages.gateway.store.get(WlanSettings).passphrase == PASSPHRASE
    assert stage(owner, path) == "over"


def test_a_wrong_token_keeps_nothing(pages, owner):
    path = saved(pages, owner, wlan__ssid="Shop")
    pages.wait_until(lambda: stage(owner, path) == "reachable")
    after = owner.follow(owner.post("/network/trial/confirm", {"token": "invented"}))
    assert "not the confirmation" in after.visible
    assert stage(owner) == "reachable"


def test_while_a_change_is_on_trial_no_other_is_saved_and_the_page_says_why(pages, owner):
    given = form_of(owner)
    path = saved(pages, owner, wlan__ssid="Shop")
    pages.wait_until(lambda: stage(owner, path) == "reachable")
    answer = owner.post("/network", {**given, "network.hostname": "other"})
    assert answer.status == 422
    assert "waits for its confirmation" in answer.visible
    assert "<fieldset disabled>" in answer.text
    assert pages.gateway.store.get(NetworkSettings).hostname == "otppi"


def test_a_change_that_nobody_confirmed_is_told_with_the_reason(pages, owner):
    store = pages.gateway.store
    # Shorter than an owner may set.
    store.replace({NetworkSettings: {ONLY: NetworkSettings(confirm_s=1)}})
    path = saved(pages, owner, wlan__ssid="Shop")
    pages.wait_until(lambda: stage(owner, path) != "waiting")
    pages.wait_until(lambda: stage(owner, path) == "over")
    assert "nobody confirmed it in time" in owner.get(path).visible
    assert "nobody confirmed it in time" in owner.get("/network").visible
    assert store.get(WlanSettings).ssid == ""


def test_what_does_not_fit_together_is_said_beside_both_fields_with_a_free_address(pages, owner):
    given = form_of(owner)
    answer = owner.post(
        "/network", {**given, "ethernet.method": "static", "ethernet.address": "192.168.0.20/24"}
    )
    assert answer.status == 422
    for place in ("wlan.address", "ethernet.address"):
        reason = re.search(rf'id="f-{place}-error">([^<]*)<', answer.text)[1]
        assert "192.168.50.11/24 for the access point" in reason
    assert pages.gateway.store.get(EthernetSettings) == EthernetSettings()


def test_access_point_and_its_dhcp_change_together(pages, owner):
    saved(pages, owner, wlan__address="10.20.0.1/24", dhcp__ranges="10.20.0.50-10.20.0.60")
    assert pages.gateway.store.get(DhcpSettings).ranges == ("10.20.0.50-10.20.0.60",)


def test_the_offered_address_is_tried_with_one_button(pages, owner):
    settled(pages)
    answer = owner.post("/network/address", {"address": "192.168.50.11/24"})
    assert answer.status == 303
    assert pages.gateway.store.get(WlanSettings).address == "192.168.50.11/24"
    pages.wait_until(lambda: stage(owner, answer.location) == "reachable")


def test_what_is_kept_secretly_is_forgotten_when_that_is_ticked(pages, owner):
    store = pages.gateway.store
    with pages.gateway.appliance.network.free_hand():
        store.update(WlanSettings, {"passphrase": PASSPHRASE})
    given = form_of(owner)
    assert given["wlan.passphrase"] == ""
    saved(pages, owner, wlan__ssid="Shop")
    assert store.get(WlanSettings).passphrase == PASSPHRASE
    with pages.gateway.appliance.network.free_hand():
        store.update(WlanSettings, {"ssid": ""})
    saved(pages, owner, **{"forget.wlan.passphrase": "on"})
    assert store.get(WlanSettings).passphrase == ""


def test_a_section_goes_back_to_its_factory_values_by_a_trial(pages, owner):
    with pages.gateway.appliance.network.free_hand():
        pages.gateway.store.update(NetworkSettings, {"hostname": "kasir"})
    answer = owner.post("/network/reset", {"section": "network"})
    pages.wait_until(lambda: stage(owner, answer.location) == "reachable")
    assert pages.gateway.store.get(NetworkSettings).hostname == "otppi"
    assert owner.post("/network/reset", {"section": "sms"}).status == 404


def test_without_a_change_there_is_no_trial(pages, owner):
    settled(pages)
    after = owner.follow(owner.post("/network", form_of(owner)))
    assert "nothing to change" in after.visible
    assert stage(owner) == "over"
