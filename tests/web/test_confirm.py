from otppi.model.errors import HostRefused
from otppi.web.confirm import ConfirmPage
from tests.web.serving import site

TOKEN = "an-invented-token"


def test_opening_the_link_alone_confirms_nothing():
    confirmed = []
    with site(ConfirmPage(lambda *args: confirmed.append(args))) as pages:
        answer = pages.ask("GET", f"/network/confirm/{TOKEN}")
    assert answer.status == 200
    assert 'method="post"' in answer.body
    assert confirmed == []


def test_the_button_confirms_with_the_address_that_was_reached():
    confirmed = []
    with site(ConfirmPage(lambda *args: confirmed.append(args))) as pages:
        answer = pages.ask("POST", f"/network/confirm/{TOKEN}")
    assert (answer.status, confirmed) == (200, [(TOKEN, "127.0.0.1")])


def test_a_refusal_is_told_with_its_reason():
    def refuse(token: str, address: str) -> None:
        raise HostRefused("NotOnTrial", "no change waits for a confirmation")

    with site(ConfirmPage(refuse)) as pages:
        answer = pages.ask("POST", f"/network/confirm/{TOKEN}")
    assert answer.status == 503
    assert "no change waits" in answer.body


def test_what_stands_in_the_link_cannot_add_to_the_page():
    with site(ConfirmPage(lambda *_: None)) as pages:
        answer = pages.ask("GET", "/network/confirm/%22%3E%3Cb%3E")
    assert "<b>" not in answer.body
    assert "script-src" not in answer.headers["Content-Security-Policy"]
