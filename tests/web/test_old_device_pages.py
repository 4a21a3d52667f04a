import re

import pytest

from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.policy import GeneralSettings
from otppi.modems.settings import ModemSettings
from tests.services.test_old_device import XSS, folder, tarred, zipped
from tests.web.admin_client import AdminClient, Page

SECRETS = (
    "47114711",
    "wifi-geheim",
    "shop-password",
    "ann-password",
    "geheim-jks",
    "geheim-mail",
    "geheim-ddns",
)
PATH = "/backup/old-device"


def sent(owner: AdminClient, file: bytes) -> Page:
    return owner.upload(PATH, {}, {"content": ("data.zip", file)})


@pytest.mark.parametrize("packed", [zipped, tarred])
def test_the_plan_says_what_is_taken_and_what_not_and_shows_no_secret(pages, owner, packed):
    before = pages.gateway.store.get(GeneralSettings)
    plan = owner.follow(sent(owner, packed(folder())))
    assert "Nothing has changed yet." in plan.visible
    for heading in ("Not understood", "Not taken over"):
        assert heading in plan.visible
    assert "a secret, not shown" in plan.visible
    assert [secret for secret in SECRETS if secret in plan.text] == []
    assert pages.gateway.store.get(GeneralSettings) == before


def test_only_what_was_chosen_is_taken_over(pages, owner):
    store = pages.gateway.store
    modems = store.items(ModemSettings)
    sent(owner, zipped(folder()))
    done = owner.post(f"{PATH}/plan", {"parts": ["blocklist"]})
    assert done.status == 200
    assert "Block list" in done.visible
    assert "6281200000001" in store.items(BlockedNumber)
    assert store.items(ModemSettings) == modems
    assert owner.get(f"{PATH}/plan").location == PATH


def test_the_network_is_not_chosen_by_itself(owner):
    plan = owner.follow(sent(owner, zipped(folder())))
    assert re.search(r'value="blocklist"[^>]* checked', plan.text)
    assert 'value="wlan"' in plan.text
    assert not re.search(r'value="wlan"[^>]* checked', plan.text)


def test_names_in_the_folder_stay_text(owner):
    plan = owner.follow(sent(owner, zipped(folder())))
    assert XSS not in plan.text
    assert XSS in plan.visible.replace(" >", ">")


def test_what_is_no_such_folder_is_refused_beside_the_field(owner):
    for wrong in (b"", b"PK\x03\x04 damaged", b"plain text", zipped({"readme.json": {}})):
        page = sent(owner, wrong)
        assert page.status in (400, 422)
        assert 'id="f-content-error"' in page.text
    assert owner.get(f"{PATH}/plan").location == PATH


def test_nothing_chosen_and_unknown_parts_change_nothing(pages, owner):
    sent(owner, zipped(folder()))
    before = {section: pages.gateway.store.items(section) for section in pages.gateway.store.sections}
    nothing = owner.post(f"{PATH}/plan")
    assert (nothing.status, "at least one part" in nothing.visible) == (422, True)
    unknown = owner.post(f"{PATH}/plan", {"parts": ["blocklist", "no such part"]})
    assert (unknown.status, "this is not in the file" in unknown.visible) == (400, True)
    assert {section: pages.gateway.store.items(section) for section in pages.gateway.store.sections} == before


def test_the_import_is_for_owners(operator, viewer):
    for one in (operator, viewer):
        assert {one.get(PATH).status, one.get(f"{PATH}/plan").status} == {403}
        assert {one.post(path).status for path in (PATH, f"{PATH}/plan", f"{PATH}/drop")} == {403}
