import html
import re

import pytest

from otppi.gateway.inbox import InboxSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.services.sections import SECTIONS
from otppi.system.network.settings import WlanSettings
from otppi.web.pages.settings import PAGES, PLACES
from otppi.web.settings import AdminSettings
from otppi.web.sheets import FOLDED
from tests.web.admin_client import AdminClient

BY_KEY = {section.key: section for section in SECTIONS}


def fields_of(page, action) -> dict[str, str]:
    """What a browser would send of a form that nobody touched."""
    form = re.search(rf'<form method="post" action="{action}" novalidate>(.*?)</form>', page.text, re.DOTALL)[
        1
    ]
    sent = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            sent[name[1]] = html.unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        sent[name] = html.unescape(text)
    for name, options in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        sent[name] = html.unescape(re.search(r'value="([^"]*)" selected', options)[1])
    sent.pop("csrf")
    return sent


def test_every_setting_that_is_folded_away_exists():
    for section, names in FOLDED.items():
        assert names <= {one.name for one in BY_KEY[section].describe()}, section


def test_every_section_has_a_page_but_those_that_are_made_by_other_means():
    assert {one.key for one in SECTIONS} - set(PLACES) == {"admin_tokens"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_nobody_touched_changes_nothing(pages, owner, name):
    path = f"/settings/{name}"
    before = owner.get(path)
    answer = owner.post(path, fields_of(owner.get(path), path))
    assert "nothing to change" in owner.follow(answer).visible
    after = owner.get(path)
    assert (after.visible, fields_of(after, path)) == (before.visible, fields_of(before, path))


def test_saves_what_was_changed(pages, owner):
    given = fields_of(owner.get("/settings/general"), "/settings/general")
    given["general.device_name"] = "Toko <b>Kita</b>"
    del given["general.drop_expired"]
    after = owner.follow(owner.post("/settings/general", given))
    assert "Saved." in after.visible
    assert "<b>Kita" not in after.text
    stored = pages.gateway.store.get(GeneralSettings)
    assert (stored.device_name, stored.drop_expired) == ("Toko <b>Kita</b>", False)


def test_a_refusal_stands_beside_its_field_and_nothing_is_half_saved(pages, owner):
    given = fields_of(owner.get("/settings/messages"), "/settings/messages")
    answer = owner.post(
        "/settings/messages", {**given, "sms.max_parts": "3", "inbox.retention_days": "<i>many</i>"}
    )
    assert answer.status == 422
    assert re.search(r'id="f-inbox.retention_days-error">must be a whole number<', answer.text)
    assert 'value="&lt;i&gt;many&lt;/i&gt;"' in answer.text
    assert answer.value_of("sms.max_parts") == "3"
    assert pages.gateway.store.get(SmsSettings).max_parts == SmsSettings().max_parts


def test_what_is_wrong_with_something_folded_away_is_not_hidden(pages, owner):
    given = fields_of(owner.get("/settings/api"), "/settings/api")
    page = owner.post("/settings/api", {**given, "api.threads": "1"})
    assert re.search(r"<details open>.*id=\"f-api.threads-error\"", page.text, re.DOTALL)
    assert "<details open>" not in owner.get("/settings/api").text


def test_what_is_wrong_with_a_setting_of_another_page_is_said_with_its_name(pages, owner):
    given = fields_of(owner.get("/settings/general"), "/settings/general")
    page = owner.post("/settings/general", {**given, "admin.http_port": str(pages.port)})
    assert page.status == 422
    assert "REST API, HTTP port: is the port of the admin pages" in page.visible


def test_a_section_goes_back_to_its_factory_values_and_others_stay(pages, owner):
    store = pages.gateway.store
    store.update(InboxSettings, {"retention_days": 5})
    store.update(SmsSettings, {"max_parts": 3})
    after = owner.follow(owner.post("/settings/messages/reset", {"section": "inbox"}))
    assert "as they came from the factory" in after.visible
    assert store.get(InboxSettings) == InboxSettings()
    assert store.get(SmsSettings).max_parts == 3


def test_only_sections_of_the_page_are_reset_there(pages, owner):
    assert owner.post("/settings/messages/reset", {"section": "modems"}).status == 404
    assert pages.gateway.pool.snapshot()


def test_who_moves_the_pages_to_another_port_is_told_where_they_are(pages, owner):
    port = pages.free_port()
    given = fields_of(owner.get("/settings/general"), "/settings/general")
    page = owner.post("/settings/general", {**given, "admin.http_port": str(port)})
    assert page.status == 200
    assert f'href="http://127.0.0.1:{port}/settings/general"' in page.text
    assert pages.gateway.store.get(AdminSettings).http_port == port

    def is_there() -> bool:
        try:
            return AdminClient(port, cookies=owner.cookies).get("/settings/general").status == 200
        except OSError:
            return False

    pages.wait_until(is_there)


def test_finds_a_setting_by_words_of_its_title_and_help(pages, owner):
    page = owner.get("/settings?q=time+SERVERS")
    assert '<a href="/clock#f-clock.ntp_server">Time servers</a>' in page.text
    assert "No setting has these words" in owner.get("/settings?q=zebra+crossing").visible
    assert "<script>alert" not in owner.get("/settings?q=%3Cscript%3Ealert").text


def test_only_owners_see_and_change_settings(pages, owner, operator):
    assert operator.get("/settings/general").status == 403
    assert operator.post("/settings/general", {"general.device_name": "Mine"}).status == 403
    assert operator.get("/settings?q=port").status == 403
    assert pages.gateway.store.get(GeneralSettings).device_name == GeneralSettings().device_name


def test_there_is_no_page_of_another_name(pages, owner):
    assert owner.get("/settings/nonsense").status == 404
    assert owner.post("/settings/nonsense", {}).status == 404


def test_what_two_people_change_in_one_form_is_kept_of_both(pages, owner):
    first = fields_of(owner.get("/settings/general"), "/settings/general")
    second = dict(first)
    owner.post("/settings/general", {**first, "general.device_name": "Kasir"})
    del second["general.drop_expired"]
    owner.post("/settings/general", second)
    stored = pages.gateway.store.get(GeneralSettings)
    assert (stored.device_name, stored.drop_expired) == ("Kasir", False)


def test_after_a_refusal_still_only_what_was_changed_is_saved(pages, owner):
    given = fields_of(owner.get("/settings/messages"), "/settings/messages")
    wrong = {**given, "sms.max_parts": "3", "inbox.retention_days": "many"}
    pages.gateway.store.update(SmsSettings, {"country_code": "60"})
    again = fields_of(owner.post("/settings/messages", wrong), "/settings/messages")
    assert owner.post("/settings/messages", {**again, "inbox.retention_days": "9"}).status == 303
    stored = pages.gateway.store.get(SmsSettings)
    assert (stored.country_code, stored.max_parts) == ("60", 3)


def test_what_a_form_was_drawn_with_has_no_secrets(pages, owner):
    pages.gateway.store.update(WlanSettings, {"passphrase": "rahasia-toko-1"})
    page = owner.get("/network").text
    assert 'name="drawn.wlan.ssid"' in page
    assert "drawn.wlan.passphrase" not in page
    assert "rahasia-toko-1" not in page
