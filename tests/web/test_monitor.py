import json
import re
from collections.abc import Callable
from html import unescape

from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.web.admin_client import AdminClient, admin_client


def _rows(text: str) -> str:
    return text.partition("<tbody")[2].partition("</tbody>")[0]


def test_the_last_messages_are_there_with_masked_numbers(pages: GatewayUnderTest, owner: AdminClient) -> None:
    assert "No message yet." in owner.get("/monitor").visible
    message_id = pages.call("send-sms", receiver="081200000001", message="Hello").json["data"]["message_id"]

    pages.wait_until(lambda: message_id in owner.get("/monitor").text)

    page = owner.get("/monitor")
    rows = _rows(page.text)
    for text in ("REST API", "shop", "m0", "62812••••••01", "sent"):
        assert text in rows, text
    assert "081200000001" not in page.text
    assert "6281200000001" not in page.text


def test_the_newest_are_shown_and_all_on_request(pages: GatewayUnderTest, owner: AdminClient) -> None:
    assert 'id="more" class="text-center" hidden' in owner.get("/monitor").text
    for number in range(22):
        assert pages.v1("send-sms", receiver=f"0812000000{number:02}", message="Hello").status == 200

    pages.wait_until(lambda: "62812••••••21" in owner.get("/monitor").text)

    page = owner.get("/monitor")
    assert _rows(page.text).count("<tr ") == 20
    assert "62812••••••01" not in _rows(page.text)
    assert 'id="more" class="text-center"><a href="/monitor?all=1">' in page.text
    page = owner.get("/monitor?all=1")
    assert _rows(page.text).count("<tr ") == 22
    assert 'id="more" class="text-center" hidden' in page.text


def test_the_picture_has_every_door_and_every_modem_that_sends(
    gateway: Callable[..., GatewayUnderTest],
) -> None:
    pages = gateway(on_desk=True, modems=(Sim(), Sim(name="off", active=False)))
    text = admin_client(pages).get("/monitor").text

    nodes = re.findall(r'data-node="([^"]+)"', text)
    assert nodes == ["device", "door:rest", "door:admin", "door:cli", "modem:m0"]
    assert [f"{one}" for one in re.findall(r'data-way="([^"]+)"', text)] == nodes[1:]


def test_the_script_gets_its_words_from_the_page(owner: AdminClient) -> None:
    text = owner.get("/monitor").text

    outcomes = re.search(r'data-outcomes="([^"]+)"', text)
    assert outcomes
    assert json.loads(unescape(outcomes[1]))["sent"] == ["good", "sent"]
    assert 'data-zone="' in text


def test_a_viewer_may_look(viewer: AdminClient) -> None:
    assert viewer.get("/monitor").status == 200
