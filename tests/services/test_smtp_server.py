import smtplib
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace

import pytest

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.gateway.accounts import ApiAccounts, ApiUser
from otppi.lib.bus import Bus
from otppi.lib.passwords import hash_password
from otppi.model.checks import Level
from otppi.model.errors import SettingsError
from otppi.model.results import MailReceipt
from otppi.services import firewall_plan
from otppi.services.certificates import Certificates
from otppi.services.sections import SECTIONS, watch_over
from otppi.services.smtp_server import SmtpServer, server_name
from otppi.settings.store import SettingsStore
from otppi.submission.settings import SubmissionSettings
from otppi.system.network.settings import NetworkSettings
from tests.broker_servers.certificates import certificates
from tests.gateway_under_test import GatewayUnderTest

USER, PASSWORD = "toko", "rahasia 8 letters"
wait_until = GatewayUnderTest.wait_until
MESSAGE = b"Subject: hi\r\n\r\nHello\r\n"


class Under:
    """The service as a gateway composes it, with a relay of the test's."""

    def __init__(self, folder, clock) -> None:
        self.bus = Bus()
        self.store = SettingsStore(folder / "state", SECTIONS, self.bus)
        self.store.put(ApiUser, USER, {"password": hash_password(PASSWORD)})
        self.certificate = folder / "certificate"
        self.may_answer, self.asked = threading.Event(), threading.Event()
        self.may_answer.set()
        self.certificates = Certificates(self.certificate, lambda: ["localhost"], clock, lambda: None)
        self.service = SmtpServer(
            store=self.store,
            accounts=ApiAccounts(self.store, clock),
            certificates=self.certificates,
            relay=self._relay,
            bus=self.bus,
            clock=clock,
        )

    def put_certificate(self) -> None:
        self.certificate.mkdir()
        (self.certificate / "tls.crt").write_text(certificates().server.pem)
        (self.certificate / "tls.key").write_text(certificates().server.key_pem)

    def set(self, **values) -> None:
        self.store.update(SubmissionSettings, values)

    def client(self, port) -> smtplib.SMTP:
        one = smtplib.SMTP("127.0.0.1", port, local_hostname="[127.0.0.1]", timeout=20)
        one.starttls()
        one.login(USER, PASSWORD)
        return one

    def _relay(self, *_) -> MailReceipt:
        self.asked.set()
        assert self.may_answer.wait(20)
        return MailReceipt(account_id="a", account_name="A", message_id="id")


@pytest.fixture
def under(tmp_path, clock):
    one = Under(tmp_path, clock)
    yield one
    one.may_answer.set()
    one.service.stop()
    one.bus.stop()


@pytest.fixture
def on(under, free_port):
    """The service while it listens, and its port."""
    under.put_certificate()
    port = free_port()
    under.set(active=True, server_address="127.0.0.1", server_port=port)
    under.service.start()
    return port


def test_it_listens_as_set_and_tells_what_it_took(under, on):
    shown = under.service.show()
    assert shown == {
        "active": True,
        "listening": True,
        "address": "127.0.0.1",
        "port": on,
        "problem": "",
        "connections": 0,
        "accepted": 0,
        "refused": 0,
        "delivery": "accounts",
        "requires_tls": True,
    }
    with under.client(on) as client:
        assert client.sendmail("a@example.com", ["x@example.com"], MESSAGE) == {}
        shown = under.service.show()
        assert (shown["connections"], shown["accepted"]) == (1, 1)
    assert [(one.level, one.finding) for one in under.service.checks()] == [(Level.GREEN, "listens")]


def test_other_settings_take_its_place_and_a_message_in_hand_ends_at_the_old_one(under, on, free_port):
    old = under.client(on)
    under.may_answer.clear()
    for command in ("MAIL FROM:<a@example.com>", "RCPT TO:<x@example.com>", "DATA"):
        old.docmd(command)
    old.send(MESSAGE + b".\r\n")
    assert under.asked.wait(20)
    port = free_port()
    under.set(server_port=port, max_message_kb=16)
    wait_until(lambda: under.service.show()["listening"] and is_open(port))
    assert not is_open(on)
    with under.client(port) as new:
        new.ehlo()
        assert new.esmtp_features["size"] == str(16 * 1024)
    under.may_answer.set()
    assert old.getreply() == (250, b"2.0.0 handed on as id")
    old.close()
    under.set(active=False)
    wait_until(lambda: not under.service.show()["listening"])
    assert not is_open(port)
    assert list(under.service.checks()) == []


def test_a_port_that_is_taken_is_had_as_soon_as_it_is_free(under, free_port):
    under.put_certificate()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        under.set(active=True, server_address="127.0.0.1", server_port=port)
        under.service.start()
        shown = under.service.show()
        assert not shown["listening"]
        assert shown["problem"] == f"port {port} on 127.0.0.1: Address already in use"
        assert [one.level for one in under.service.checks()] == [Level.RED]
    under.service.changed()
    wait_until(lambda: under.service.show()["listening"])
    assert under.service.show()["problem"] == ""


def test_without_a_certificate_it_says_so_and_does_not_listen_without_one(under, free_port):
    under.certificate.write_text("a file where the folder is to be")
    under.set(active=True, server_address="127.0.0.1", server_port=free_port())
    under.service.start()
    shown = under.service.show()
    assert not shown["listening"]
    assert shown["problem"].startswith("there is no certificate: ")


@pytest.mark.parametrize("change", [{"blocked": True}, {"active": False}, None])
def test_a_user_who_is_switched_off_sends_no_more_over_an_open_connection(under, on, change):
    with under.client(on) as client:
        client.sendmail("a@example.com", ["x@example.com"], MESSAGE)
        if change is None:
            under.store.remove(ApiUser, USER)
        else:
            under.store.put(ApiUser, USER, change)
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPServerDisconnected), match="log in again"):
            client.sendmail("a@example.com", ["x@example.com"], MESSAGE)
        assert under.service.show()["accepted"] == 1


def test_a_certificate_that_cannot_be_read_is_a_problem_that_passes(under, free_port):
    under.put_certificate()
    files = under.certificates.files
    under.certificates.files = lambda: replace(files(), key=under.certificate / "gone")
    under.set(active=True, server_address="127.0.0.1", server_port=free_port())
    under.service.start()
    assert under.service.show()["problem"].startswith("the certificate cannot be used: ")
    under.certificates.files = files
    under.service.changed()
    wait_until(lambda: under.service.show()["listening"])


def test_another_certificate_is_shown_to_the_next_client(under, on):
    def shown() -> bytes | None:
        with suppress(OSError), smtplib.SMTP("127.0.0.1", on, timeout=20) as client:
            client.starttls()
            return client.sock.getpeercert(binary_form=True)
        return before  # one of its last callers, or none

    before = None
    before = shown()
    under.certificates.renew()
    under.service.changed()
    wait_until(lambda: shown() != before)


def test_its_name_is_that_of_the_settings_or_of_the_device(under):
    under.store.update(NetworkSettings, {"hostname": "Kantor"})
    assert server_name(under.store) == "kantor.local"
    under.set(server_name="mail.example.com")
    assert server_name(under.store) == "mail.example.com"
    under.service.start()


def test_a_gateway_that_does_not_use_it_does_not_load_what_it_needs():
    code = "import otppi.services.gateway, sys; print({'asyncio', 'aiosmtpd', 'dns'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_its_port_is_open_in_the_firewall_while_it_is_active_and_none_of_another_door(tmp_path):
    store = SettingsStore(tmp_path, SECTIONS, None)
    watch_over(store)
    assert firewall_plan.services_in(store).smtp_ports == ()
    store.update(SubmissionSettings, {"active": True, "server_port": 587})
    assert firewall_plan.services_in(store).smtp_ports == (587,)
    assert any("--dport 587 " in rule for rule in firewall_plan.wanted_rules(store)[4])
    for port in (8888, store.get(ApiSettings).http_port):
        with pytest.raises(SettingsError, match="is the port of the"):
            store.update(SubmissionSettings, {"server_port": port})
    store.update(VendorApiSettings, {"http_enabled": True})
    with pytest.raises(SettingsError, match="is the port of the vendor API"):
        store.update(SubmissionSettings, {"server_port": store.get(VendorApiSettings).http_port})
    store.update(SubmissionSettings, {"server_address": "127.0.0.1"})
    assert firewall_plan.services_in(store).smtp_ports == ()


@pytest.mark.parametrize("address", ["dead", "1.2", "192.168.1", ":::"])
def test_where_it_listens_is_an_address(tmp_path, address):
    store = SettingsStore(tmp_path, SECTIONS, None)
    with pytest.raises(SettingsError, match="must be an IP address"):
        store.update(SubmissionSettings, {"server_address": address})
    for good in ("::", "::1", "192.168.1.1"):
        store.update(SubmissionSettings, {"server_address": good})


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
