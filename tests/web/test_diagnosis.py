import ast
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import otppi
from otppi.api.settings import ApiSettings
from otppi.web import diagnosis_words
from otppi.web.navigation import GROUPS
from tests.gateway_under_test import GatewayUnderTest, Sim
from tests.web.admin_client import AdminClient, admin_client


def test_the_worst_is_first(gateway: Callable[..., GatewayUnderTest]) -> None:
    pages = gateway(on_desk=True, modems=(Sim(pin="1234"),))
    pages.wait_until(lambda: pages.state("m0") == "PIN needed")

    page = admin_client(pages).get("/diagnosis")

    assert "2 problems need somebody." in page.visible
    assert page.text.index(">Problem<") < page.text.index(">Remark<") < page.text.index(">All is well<")
    assert page.text.rindex(">Problem<") < page.text.index(">Remark<")


def test_advice_for_a_terminal_becomes_the_page_that_helps(gateway: Callable[..., GatewayUnderTest]) -> None:
    pages = gateway(on_desk=True, modems=(Sim(pin="1234"),))
    pages.wait_until(lambda: pages.state("m0") == "PIN needed")

    page = admin_client(pages).get("/diagnosis")

    assert "Enter the PIN of the SIM card. Open the page “Modems”" in page.visible
    assert "otppi sim" not in page.visible


def test_nobody_is_led_to_a_page_that_he_may_not_see(
    pages: GatewayUnderTest, owner: AdminClient, viewer: AdminClient
) -> None:
    link = '<a href="/settings/api">'
    with socket.create_server(("127.0.0.1", pages.https_port)):
        pages.gateway.store.update(ApiSettings, {"https_enabled": True})

        pages.wait_until(lambda: f"port {pages.https_port} on" in owner.get("/diagnosis").visible)

        assert link in owner.get("/diagnosis").text
        assert link not in viewer.get("/diagnosis").text


def test_every_page_that_helps_is_in_the_menu() -> None:
    paths = {entry.path for _, entries in GROUPS for entry in entries}

    assert set(diagnosis_words._PAGES.values()) <= paths


def test_no_advice_sends_the_reader_of_a_page_to_a_terminal() -> None:
    found = list(_texts_of_checks())

    assert len(found) > 10
    assert [text for text in found if not any(command in text for command in diagnosis_words._INSTEAD)] == []


def _texts_of_checks() -> Iterator[str]:
    """Give every text with a command line of the modules that make checks while a gateway runs."""
    package = Path(otppi.__file__).parent
    for path in sorted(package.rglob("*.py")):
        if path.name.startswith(("cli", "offline")) or path.parent.name in ("web", "pages"):
            continue
        tree = ast.parse(path.read_text())
        makes_checks = any(
            isinstance(node, ast.ImportFrom) and node.module == "otppi.model.checks"
            for node in ast.walk(tree)
        )
        # What a mobile connection ended with is put into a check by its keeper.
        if not (makes_checks or path.name == "endings.py"):
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and _is_for_a_terminal(node.value)
            ):
                yield node.value


def _is_for_a_terminal(text: str) -> bool:
    commands = ("otppi broker ", "otppi modem ", "otppi sim ", "otppi settings ", "journalctl -u")
    return any(command in text for command in commands)


def test_days_in_findings_are_written_as_elsewhere(pages: GatewayUnderTest, owner: AdminClient) -> None:
    pages.gateway.store.update(ApiSettings, {"https_enabled": True})
    seen = owner.get("/diagnosis").visible
    assert re.search(r"self-signed, until [A-Z][a-z]+ \d+, \d{4}", seen)
    assert not re.search(r"until \d{4}-", seen)
