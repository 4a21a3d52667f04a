import json
import logging
import os

import pytest

from otppi.gateway.accounts import Administrator
from otppi.gateway.audit import Audit
from otppi.gateway.functions import Functions
from otppi.gateway.sessions import Sessions
from otppi.lib.bus import Bus
from otppi.services.admin_site import GatewayAsDevice, on_this_machine
from otppi.services.logs import Logs
from otppi.services.sections import SECTIONS
from otppi.settings.store import SettingsStore
from otppi.web.live import Live
from otppi.web.pages import logs
from otppi.web.site import Site
from otppi.wsgi.streams import Streams
from tests.web import serving

log = logging.getLogger("otppi.tests.logs_pages")


@pytest.fixture
def lines():
    """Have lines of INFO kept as well, as a service has; the gateway comes after this."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(level)


def test_the_last_lines_are_shown_by_level_and_text(lines, owner):
    log.info("a quiet remark")
    log.error("a loud remark")
    everything = owner.get("/logs?search=remark")
    assert "a quiet remark" in everything.visible
    assert "a loud remark" in everything.visible
    errors = owner.get("/logs?level=error&search=remark")
    assert "a quiet remark" not in errors.visible
    assert "a loud remark" in errors.visible
    assert "No line is like that." in owner.get("/logs?search=nobody-said-this").visible


def test_older_lines_are_on_pages_that_keep_the_filter(lines, owner):
    for number in range(101):
        log.warning("counted %d times & more", number)
    first = owner.get("/logs?level=warning&search=times+%26+more")
    assert "counted 100 times" in first.visible
    assert "counted 0 times" not in first.visible
    assert 'href="/logs?level=warning&amp;search=times+%26+more&amp;offset=100"' in first.text
    last = owner.get("/logs?level=warning&search=times%20%26%20more&offset=100")
    assert "counted 0 times" in last.visible


def test_a_line_and_a_search_stay_text(lines, owner):
    log.warning("<img src=x onerror=alert(1)>")
    page = owner.get("/logs?search=%3Cimg")
    assert "<img src=x" not in page.text
    assert "<img src=x onerror=alert(1)>" in page.visible
    assert page.value_of("search") == "<img"


def test_all_lines_come_as_a_file(lines, owner):
    log.warning("to be kept")
    file = owner.get("/logs/download")
    assert file.headers["Content-Disposition"] == 'attachment; filename="otppi-log.txt"'
    assert file.headers["Content-Type"].startswith("text/plain")
    assert "'to be kept'" in file.text


def test_a_desk_has_no_journal(owner):
    assert owner.get("/logs/journal").status == 404
    assert "/logs/journal" not in owner.get("/logs").text


def test_logs_are_for_owners(operator, viewer):
    for one in (operator, viewer):
        assert {one.get(path).status for path in ("/logs", "/logs/journal", "/logs/download")} == {403}


class DeviceWithJournal:
    """The log pages of a device, whose journal says what a test wants."""

    def __init__(self, tmp_path, clock) -> None:
        store = SettingsStore(tmp_path / "state", SECTIONS, None)
        store.put(Administrator, "owner", {"password": "a long password"})
        self.bus = Bus()
        sessions = Sessions(lambda: store.items(Administrator), clock)
        self.cookie = f"otppi_session={sessions.open('owner', '127.0.0.1', '')}"
        audit = Audit(tmp_path / "audit", clock)
        self.site = Site(
            functions=Functions(Logs(has_journal=True).functions(), audit),
            sessions=sessions,
            device=GatewayAsDevice(store, on_this_machine),
            version="1",
            facts={"live": Live(self.bus, Streams("test"), clock), "audit": audit},
        )

    def install(self, app) -> None:
        self.site.install(app, logs.ROUTES)


@pytest.fixture
def device(tmp_path, clock, monkeypatch):
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    entry = {
        "__REALTIME_TIMESTAMP": "1800000000123456",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "pppd",
        "MESSAGE": "<b>no carrier</b>",
    }
    program.write_text(f"#!/bin/sh\necho '{json.dumps(entry)}'\necho \"$@\" > {tmp_path}/asked\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    one = DeviceWithJournal(tmp_path, clock)
    yield one
    one.bus.stop()


def test_on_a_device_the_journal_of_a_unit_can_be_chosen(device, tmp_path):
    with serving.site(device) as pages:
        page = pages.ask("GET", "/logs/journal?unit=otppi-mobile", Cookie=device.cookie)
        assert page.status == 200
        assert '<option value="otppi-mobile" selected>Mobile internet</option>' in page.body
        assert "&lt;b&gt;no carrier&lt;/b&gt;" in page.body
        assert "--unit=otppi-mobile.service" in (tmp_path / "asked").read_text()
        other = pages.ask("GET", "/logs/journal?unit=ssh", Cookie=device.cookie)
        assert other.status == 404
        assert 'href="/logs/journal"' in pages.ask("GET", "/logs", Cookie=device.cookie).body
