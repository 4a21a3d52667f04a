"""The page by which a change of the network is confirmed, on a desk whose network is simulated."""

import pytest

from otppi.system.network.settings import WlanSettings
from tests.web.admin_client import AdminClient


@pytest.fixture
def trial(pages):
    """A change of the network that waits; returns its link."""
    pages.gateway.store.update(WlanSettings, {"ssid": "Kasir"})
    network = pages.gateway.appliance.network
    pages.wait_until(network.trial)
    return f"/network/confirm/{network.trial()['token']}"


@pytest.fixture
def anybody(pages):
    return AdminClient(pages.admin_port)


def is_on_trial(pages):
    return pages.gateway.appliance.network.trial() is not None


def test_opening_the_link_alone_confirms_nothing(pages, trial, anybody):
    page = anybody.get(trial)
    assert page.status == 200
    assert "Keep this network?" in page.visible
    assert f'action="{trial}"' in page.text
    assert is_on_trial(pages)


def test_the_button_confirms_without_a_log_in(pages, trial, anybody):
    pages.wait_until(lambda: anybody.post(trial).status == 200)  # it is being made for a second
    assert not is_on_trial(pages)
    assert pages.gateway.store.get(WlanSettings).ssid == "Kasir"
    row = pages.gateway._admin_site._audit.page()["rows"][0]
    assert (row["user"], row["what"], row["outcome"]) == ("", "network.confirm", "done")
    assert trial.rpartition("/")[2] not in str(row)


def test_a_page_of_another_site_cannot_confirm(pages, trial, anybody):
    assert anybody.post(trial, Origin="http://evil.example").status == 401
    assert is_on_trial(pages)


def test_a_refusal_is_told_with_its_reason(pages, anybody):
    page = anybody.post("/network/confirm/an-invented-token")
    assert page.status == 503
    assert "no change of the network waits for a confirmation" in page.visible
    assert "NoTrial" not in page.visible


def test_the_page_is_in_the_language_of_the_browser(anybody):
    assert '<html lang="id"' in anybody.get("/network/confirm/x", Accept_Language="id-ID").text


def test_what_stands_in_the_link_cannot_add_to_the_page(anybody):
    for method in ("get", "post"):
        page = getattr(anybody, method)("/network/confirm/%22%3E%3Cb%3E")
        assert "<b>" not in page.text
        assert "'unsafe" not in page.headers["Content-Security-Policy"]


def test_a_machine_that_is_no_device_has_no_such_page(gateway):
    one = AdminClient(gateway().admin_port)
    assert one.get("/network/confirm/x").status == 404
    assert one.post("/network/confirm/x").status == 404
