"""Every page of the site, whichever there are: it loads, everybody can use it, and it fits on a phone."""

import pytest
from playwright.sync_api import expect

from otppi.gateway.rights import Role
from otppi.web.site import Route
from tests.browser.addresses import EMPTY, addresses, page_routes
from tests.browser.furnished import SHORT_SPITE
from tests.browser.window import PHONE, WIDE
from tests.web.admin_client import Page

ROUTES = page_routes()


# What a phone on the Wi-Fi of a Pi has before anybody wonders.
MOST_BYTES = 150_000


def is_page(answer: Page) -> bool:
    return answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")


@pytest.fixture(params=ROUTES, ids=[one.path for one in ROUTES])
def pages(request, owner) -> list[str]:
    """The addresses of one route that are pages; the others are files, and what scripts ask for."""
    answers = {path: owner.get(path) for path in addresses(request.param, owner)}
    assert {one.status for one in answers.values()} == {EMPTY.get(request.param.path, 200)}
    return [path for path, one in answers.items() if is_page(one)]


def test_it_can_be_used_by_everybody_on_a_screen_and_on_a_phone(look, pages):
    english, indonesian = look("owner", is_forgetful=True), look("owner-id", width=PHONE, language="id")
    faults = []
    for path in pages:

        def found(of: str, what: list[str], path: str = path) -> None:
            faults.extend(f"{path}, {of}: {one}" for one in what)

        english.resize(WIDE)
        english.page.emulate_media(color_scheme="light")
        assert english.open(path) == 200
        expect(english.page.locator("html")).to_have_attribute("data-bs-theme", "light")
        assert SHORT_SPITE in english.page.title()
        if (weight := english.weight_bytes()) > MOST_BYTES:
            found("first load", [f"{weight} bytes"])
        found("light", english.barriers())
        found("on a screen", english.too_wide())
        english.page.emulate_media(color_scheme="dark")
        english.resize(PHONE)
        expect(english.page.locator("html")).to_have_attribute("data-bs-theme", "dark")
        found("dark, on a phone", english.barriers())
        found("on a phone", english.too_wide())

        assert indonesian.open(path) == 200
        assert indonesian.page.locator("html").get_attribute("lang") == "id"
        found("Indonesian, on a phone", indonesian.too_wide())
        indonesian.resize(WIDE)
        found("Indonesian, on a screen", indonesian.too_wide())
        indonesian.resize(PHONE)
        for one in (english, indonesian):
            found("", one.taken_complaints())
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("role", "route"),
    [
        pytest.param(role, one, id=f"{one.path}-{role}")
        for one in ROUTES
        for role in (Role.OPERATOR, Role.VIEWER)
        if role.includes(one.role)
    ],
)
def test_it_loads_for_every_role_that_may_see_it(look, owner, role: Role, route: Route):
    one = look(str(role))
    for path in addresses(route, owner):
        if is_page(owner.get(path)):
            assert one.open(path) == 200
