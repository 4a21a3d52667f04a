import socket

from otppi.api.settings import ApiSettings
from otppi.modems.settings import ModemSettings
from otppi.services.control import call
from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import AdminClient

EVIL = "<script>alert(1)</script>"


def test_the_first_page_shows_modems_doors_and_the_machine(owner: AdminClient) -> None:
    page = owner.get("/")

    assert page.status == 200
    for text in ("m0 ", "Ready", "REST API", "open", "Today 0 SMS", "Memory", "Storage"):
        assert text in page.visible, text


def test_what_is_sent_is_counted(pages: GatewayUnderTest, owner: AdminClient) -> None:
    assert pages.call("send-sms", receiver="081200000001", message="Hello").code == "0000"

    pages.wait_until(lambda: "Tries since the program started 1 sent" in owner.get("/").visible)

    page = owner.get("/")
    assert "Today 1 SMS" in page.visible
    assert "sent: 1 altogether, 1 at most." in page.text
    assert "081200000001" not in page.text


def test_what_the_machine_does_not_tell_is_left_out(pages: GatewayUnderTest, owner: AdminClient) -> None:
    vitals = call(pages.state_dir, "device.vitals", {}, timeout_s=10)

    visible = owner.get("/").visible

    assert ("Temperature" in visible) is (vitals["temperature_c"] is not None)
    assert ("Power supply" in visible) is (vitals["has_under_voltage"] is not None)


def test_a_door_that_cannot_be_opened_says_why(pages: GatewayUnderTest, owner: AdminClient) -> None:
    with socket.create_server(("127.0.0.1", pages.https_port)):
        pages.gateway.store.update(ApiSettings, {"https_enabled": True})
        pages.wait_until(lambda: "does not work" in owner.get("/").visible)

        page = owner.get("/")
        assert f"port {pages.https_port} does not work port {pages.https_port} on 127.0.0.1: " in page.visible
        assert "Problem" in page.visible


def test_a_viewer_is_told_nothing_of_the_inbox(owner: AdminClient, viewer: AdminClient) -> None:
    assert "0 unread messages" in owner.get("/").visible
    assert "unread" not in viewer.get("/").visible
    assert 'href="/inbox"' not in viewer.get("/").text


def test_the_span_of_the_history_can_be_chosen(owner: AdminClient) -> None:
    for hours in (1, 6, 24, 168):
        page = owner.get(f"/?hours={hours}")
        assert page.status == 200
        assert f'href="/?hours={hours}#history" aria-current="true"' in page.text
    assert 'href="/?hours=1#history" aria-current="true"' in owner.get("/?hours=9999").text


def test_the_name_of_a_modem_stays_text(pages: GatewayUnderTest, owner: AdminClient) -> None:
    pages.gateway.store.put(ModemSettings, "m0", {"name": EVIL})

    for path in ("/", "/monitor", "/diagnosis"):
        pages.wait_until(lambda path=path: "alert(1)" in owner.get(path).text)
        page = owner.get(path)
        assert EVIL not in page.text, path
        assert "&lt;script&gt;" in page.text, path


def test_that_the_connection_is_not_encrypted_is_said_on_the_first_page_alone(owner: AdminClient) -> None:
    assert 'id="plain-http"' in owner.get("/").text
    assert 'id="plain-http"' not in owner.get("/send").text
