"""The pages of the modems: the list, the form, what is found, which way a message takes."""

import html
import re

import pytest

from otppi.model.events import DeviceNotice
from otppi.model.modems import LEFT_TO_A_PERSON, ModemState, Registration, SimState
from otppi.model.ports import SerialPort, Stick
from otppi.modems.settings import ModemSettings
from otppi.web import modem_words
from tests.gateway_under_test import Sim
from tests.web.admin_client import admin_client

IMEI = "490154203237518"
EVIL = '"><script>alert(1)</script>'


def settings(pages, modem="m0"):
    return pages.gateway.store.items(ModemSettings)[modem]


def form_of(page):
    """What a browser would send for the form of a modem, as it stands."""
    form = page.text[page.text.index('<form method="post" action="/modems/') :]
    values = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag)[1], re.search(r'value="([^"]*)"', tag)
        if 'type="checkbox"' not in tag or " checked" in tag:
            values[name] = html.unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', form):
        values[name] = html.unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        values[name] = chosen[1] if chosen else ""
    return values


def described(state, reason="", **more):
    return {
        "active": True,
        "internetAccess": False,
        "apiEnabled": True,
        "registration": Registration.HOME,
        "state": state,
        "reason": reason,
        **more,
    }


# -- the list


def test_a_card_tells_how_a_modem_is(gateway):
    pages = gateway(
        on_desk=True,
        modems=(
            Sim(
                name="Toko",
                prefixes=("62811", "62812"),
                default=True,
                settings={"prices": ["62811+62812=50", "other=350.5"], "quota_per_day": 100},
            ),
        ),
    )
    text = admin_client(pages).get("/modems").visible
    assert "Toko Ready for all other numbers" in text
    assert "Very good, -71 dBm" in text
    assert "registered" in text
    assert "62811, 62812: IDR50" in text
    assert "all other numbers: IDR350.50" in text
    assert "0 of 100 parts today" in text


def test_money_is_written_as_the_language_has_it(gateway):
    pages = gateway(on_desk=True, modems=(Sim(settings={"prices": ["other=1350"]}),))
    owner = admin_client(pages)
    owner.post("/language", {"language": "id"})
    assert re.search(r"Rp\s?1\.350\b", owner.get("/modems").visible)


@pytest.mark.parametrize("state", list(ModemState))
def test_every_state_says_what_to_do_or_that_all_is_well(state):
    told = modem_words.standing(described(state))
    assert told.advice or told.level == "good"


@pytest.mark.parametrize(
    ("modem", "title"),
    [
        (described(ModemState.ABSENT, "chat holds the port"), "Used by another program"),
        (described(ModemState.ABSENT, "the port does not exist"), "Not there"),
        (described(ModemState.SEARCHING, Registration.DENIED.value), "Refused by the network"),
        (described(ModemState.SEARCHING, Registration.SEARCHING.value), "Looking for the mobile network"),
        (described(ModemState.SIM_BLOCKED, SimState.ABSENT.value), "No SIM card"),
        (described(ModemState.SIM_BLOCKED, SimState.LOCKED.value), "SIM card does not fit"),
        (described(ModemState.STARTING, "a person works on it"), "Somebody works on it"),
        (described(ModemState.READY, registration=Registration.ROAMING), "Ready in a foreign network"),
        (described(ModemState.READY, apiEnabled=False), "Ready, but sends nothing"),
        (described(ModemState.ABSENT, internetAccess=True), "Kept for mobile internet"),
        (described(ModemState.ABSENT, active=False), "Switched off"),
    ],
)
def test_the_reason_decides_what_is_said(modem, title):
    assert modem_words.standing(modem).title == title


def test_the_last_try_of_a_pin_is_left_to_a_phone():
    reason = f"only one try of the PIN is left, and it is {LEFT_TO_A_PERSON}"
    assert "phone" in modem_words.standing(described(ModemState.PIN_NEEDED, reason)).advice


def test_a_modem_that_waits_for_its_pin_leads_to_its_sim(gateway):
    pages = gateway(on_desk=True, modems=(Sim(pin="1234"),))
    pages.wait_until(lambda: pages.state("m0") == "PIN needed")
    page = admin_client(pages).get("/modems")
    assert "Enter the PIN of the SIM card." in page.visible
    assert 'href="/modems/m0/sim"' in page.text


def test_a_swapped_sim_is_told_and_kept_by_one_button(gateway):
    pages = gateway(on_desk=True, modems=(Sim(settings={"iccid": "89620000000000009999"}),))
    owner = admin_client(pages)
    now = pages.lines["m0"].card.printed.iccid
    assert f"Another SIM card is in (…{now[-4:]})" in owner.get("/modems").visible
    kept = owner.follow(owner.post("/modems/m0/keep-sim"))
    assert "The settings are those of the new SIM card now." in kept.visible
    pages.wait_until(lambda: settings(pages).iccid == now)
    pages.wait_until(lambda: "Another SIM card" not in owner.get("/modems").visible)


def test_names_stay_text(pages, owner):
    pages.gateway.store.put(ModemSettings, "m0", {"name": f"m {EVIL}"})
    for path in ("/modems", "/modems/m0", "/modems/m0/sim", "/ussd", "/costs"):
        page = owner.get(path)
        assert "<script>alert" not in page.text
        assert EVIL in html.unescape(page.text)


def test_a_viewer_sees_and_changes_nothing(pages, viewer):
    page = viewer.get("/modems")
    assert page.status == 200
    # Only the forms that every page has.
    assert not re.findall(r'action="/modems[^"]*"', page.text)
    for path in (
        "/modems/look",
        "/modems/use",
        "/modems/route",
        "/modems/new",
        "/modems/m0",
        "/modems/m0/switch",
    ):
        assert viewer.post(path, {"name": "x"}).status == 403
    assert viewer.get("/modems/m0").status == 403
    assert settings(pages).name == "m0"


def test_a_modem_that_is_not_there_is_lost(owner):
    assert owner.get("/modems/other").status == 404


# -- the form


def test_a_modem_is_added_with_what_is_known_of_its_operator(pages, owner):
    given = form_of(owner.get("/modems/new"))
    port = str(pages.sim.add("second").path)
    given |= {
        "name": "Tri",
        "port": port,
        "prefixes": "62811, 62895",
        "prefixes_of": "tri",
        "internet_of": "tri",
        "prices": "tri=60\nother=350",
    }
    done = owner.post("/modems/new", given)
    assert "The modem Tri is saved." in owner.follow(done).visible
    added = next(one for one in pages.gateway.store.items(ModemSettings).values() if one.name == "Tri")
    assert added.prefixes == ("62811", "62895", "62896", "62897", "62898", "62899")
    assert added.prices == ("62895+62896+62897+62898+62899=60", "other=350")
    assert (added.apn, added.apn_password) == ("3data", "3data")
    pages.wait_until(lambda: "Tri Ready" in owner.get("/modems").visible)


def test_prices_show_operators_by_their_names(gateway):
    pages = gateway(on_desk=True, modems=(Sim(settings={"prices": ["62895+62896+62897+62898+62899=60"]}),))
    owner = admin_client(pages)
    assert form_of(owner.get("/modems/m0"))["prices"] == "tri=60"
    assert "Tri (Indosat): IDR60" in owner.get("/modems").visible


def test_an_untouched_form_changes_nothing(gateway):
    pages = gateway(
        on_desk=True,
        modems=(
            Sim(
                prefixes=("62811",),
                settings={"prices": ["62811=0", "62811=50 after 100/month"], "apn_password": "secret"},
            ),
        ),
    )
    pages.wait_until(lambda: settings(pages).imei and settings(pages).iccid)
    before = settings(pages)
    owner = admin_client(pages)
    assert owner.post("/modems/m0", form_of(owner.get("/modems/m0"))).status == 303
    assert settings(pages) == before


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"name": ""}, "name", "must not be empty"),
        ({"prefixes": "0812"}, "prefixes", "not 0812"),
        ({"prices": "62811=50\n62811=60"}, "prices", "62811 needs one price to begin with"),
        ({"gap_min_s": "5"}, "gap_max_s", "is shorter than gap_min_s"),
        ({"imei": "123456789012345"}, "imei", "the last one checks the others"),
        ({"sim_pin": "12"}, "sim_pin", "must be four to eight digits"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_saved(pages, owner, change, field, reason):
    before = settings(pages)
    given = form_of(owner.get("/modems/m0")) | {"name": "Other"} | change
    page = owner.post("/modems/m0", given)
    assert page.status == 422
    said = re.search(rf'id="f-{field}-error">([^<]*)<', page.text)
    assert said, page.visible
    assert reason in html.unescape(said[1])
    assert form_of(page)["name"] == given["name"]  # what was typed is still there
    assert settings(pages) == before


def test_what_was_typed_stays_text(owner):
    page = owner.post("/modems/new", {"name": EVIL, "port": EVIL, "prices": EVIL})
    assert page.status == 422
    assert "<script>alert" not in page.text


def test_two_modems_have_two_names(pages, owner):
    page = owner.post("/modems/new", {"name": "m0", "port": "ttyUSB7"})
    assert page.status == 422
    assert "another modem has this name" in page.visible
    assert list(pages.gateway.store.items(ModemSettings)) == ["m0"]


def test_secrets_never_come_to_the_browser_and_an_empty_box_keeps_them(gateway):
    pages = gateway(
        on_desk=True, modems=(Sim(pin="4711", sim_pin="4711", settings={"apn_password": "geheim"}),)
    )
    owner = admin_client(pages)
    page = owner.get("/modems/m0")
    assert "4711" not in page.text
    assert "geheim" not in page.text
    refused = owner.post("/modems/m0", form_of(page) | {"sim_pin": "8642", "name": ""})
    assert "8642" not in refused.text
    owner.post("/modems/m0", form_of(page))
    assert (settings(pages).sim_pin, settings(pages).apn_password) == ("4711", "geheim")


def test_with_another_port_the_known_imei_is_forgotten(pages, owner):
    pages.wait_until(lambda: settings(pages).imei)
    given = form_of(owner.get("/modems/m0"))
    owner.post("/modems/m0", given | {"port": "ttyUSB7"})
    assert (settings(pages).port, settings(pages).imei) == ("ttyUSB7", "")


def test_every_setting_is_in_the_form_once(owner):
    names = re.findall(r'name="([a-z_0-9]+)" id="f-', owner.get("/modems/m0").text)
    assert sorted(names) == sorted(one.name for one in ModemSettings.describe())


def test_a_modem_is_switched_off_and_on_and_removed(pages, owner):
    assert "is switched off" in owner.follow(owner.post("/modems/m0/switch")).visible
    assert "Switched off" in owner.get("/modems").visible
    owner.post("/modems/m0/switch", {"active": "on"})
    pages.wait_until(lambda: "m0 Ready" in owner.get("/modems").visible)
    assert "The modem is removed." in owner.follow(owner.post("/modems/m0/remove")).visible
    assert not pages.gateway.store.items(ModemSettings)
    assert "There is no modem yet." in owner.get("/modems").visible


# -- what was found


@pytest.fixture
def plugged(gateway):
    """A device into which somebody can plug modems."""
    sticks = []
    one = gateway(modems=(Sim(),), on_desk=True, sticks=lambda: tuple(sticks))
    one.plugged = sticks
    return one


def plug(one, name, **options):
    line = one.sim.add(name, **options)
    one.plugged.append(Stick(place=name, ports=(SerialPort(node=str(line.path), driver="option"),)))
    one.gateway.bus.publish(
        DeviceNotice(kind="serial", name=name, node=str(line.path), description="", is_present=True)
    )
    return line


def test_a_new_modem_is_used_by_one_click(plugged):
    owner = admin_client(plugged)
    line = plug(plugged, "new", imei=IMEI)
    plugged.wait_until(lambda: "new, not used yet" in owner.get("/modems").visible)
    page = owner.get("/modems")
    assert "IMEI …7518" in page.visible
    given = {"modem": page.value_of("modem"), "name": "m0", "prefixes_of": "xl"}
    refused = owner.post("/modems/use", given)
    assert refused.status == 422
    assert "another modem has this name" in refused.visible
    assert settings(plugged).imei != IMEI
    done = owner.follow(owner.post("/modems/use", given | {"name": "XL"}))
    assert "The modem XL is used now." in done.visible
    plugged.wait_until(lambda: "XL Ready" in owner.get("/modems").visible)
    used = next(one for one in plugged.gateway.store.items(ModemSettings).values() if one.name == "XL")
    assert (used.imei, used.port, used.is_default) == (IMEI, str(line.path), False)
    assert "62817" in used.prefixes


def test_one_can_look_at_once(plugged):
    owner = admin_client(plugged)
    plugged.plugged.append(
        Stick(
            place="late",
            ports=(SerialPort(node=str(plugged.sim.add("late", imei=IMEI).path), driver="option"),),
        )
    )
    assert "Looking for modems" in owner.follow(owner.post("/modems/look")).visible
    plugged.wait_until(lambda: "new, not used yet" in owner.get("/modems").visible)


# -- which way a message takes


def test_the_way_of_a_message_is_told_with_price_and_reason(gateway):
    pages = gateway(
        on_desk=True,
        modems=(
            Sim(name="dear", settings={"prices": ["other=350"]}),
            Sim(name="cheap", prefixes=("62812",), settings={"prices": ["62812=50"]}),
            Sim(name="off", active=False),
        ),
    )
    owner = admin_client(pages)
    page = owner.post("/modems/route", {"number": "081200000001", "parts": "2"})
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page.text, re.DOTALL)
    told = [" ".join(html.unescape(re.sub(r"<[^>]*>", " ", row)).split()) for row in rows[1:]]
    assert told == [
        "1 cheap IDR100 price of 62812, prefix 62812",
        "2 dear IDR700 price of other, no prefix",
        "not used off not known not active",
    ]
    assert not pages.texts()


def test_a_number_that_is_none_is_refused_beside_its_field(owner):
    page = owner.post("/modems/route", {"number": EVIL})
    assert page.status == 400
    assert 'id="route-error"' in page.text
    assert "<script>alert" not in page.text
