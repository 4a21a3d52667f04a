from collections.abc import Callable, Iterable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.furnished import furnished, logged_in
from tests.browser.window import Window, chromium
from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import AdminClient

# Playwright keeps an event loop in this thread for as long as the browser lives; other tests have their own.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="package")
def device(tmp_path_factory, free_port) -> Iterator[GatewayUnderTest]:
    """A device as it is in use, whose names and messages try to be markup. Tests leave it as it is."""
    one = furnished(tmp_path_factory.mktemp("device"), free_port, is_spiteful=True)
    yield one
    one.stop()


@pytest.fixture(scope="package")
def owner(device) -> AdminClient:
    """Who asks the device for what a test needs to know, without a browser."""
    return logged_in(device)


@pytest.fixture(scope="package")
def cookies_of(device) -> Callable[[str], dict[str, str]]:
    """The cookies of somebody who has logged in, who does it once for all tests."""
    clients: dict[str, AdminClient] = {}

    def cookies(user: str) -> dict[str, str]:
        if user not in clients:
            clients[user] = logged_in(device, user)
        return clients[user].cookies

    return cookies


@pytest.fixture
def window(browser) -> Iterator[Callable[..., Window]]:
    """Open windows; whatever went wrong in them and was not taken note of fails the test."""
    opened: list[Window] = []

    def open_window(one: GatewayUnderTest, port: int | None = None, **options) -> Window:
        opened.append(Window(browser, port or one.admin_port, **options))
        return opened[-1]

    yield open_window
    complaints = _taken_complaints(opened)
    for one in opened:
        one.close()
    assert not complaints, "\n".join(complaints)


def _taken_complaints(windows: Iterable[Window]) -> list[str]:
    return [complaint for one in windows for complaint in one.taken_complaints()]


@pytest.fixture
def visit(window, device, cookies_of) -> Callable[..., Window]:
    """Open the pages of the device in use as somebody who has logged in; None is nobody."""

    def open_as(user: str | None = "owner", **options) -> Window:
        return window(device, cookies=cookies_of(user) if user else {}, **options)

    return open_as


@pytest.fixture(scope="module")
def kept_windows() -> Iterator[dict[object, Window]]:
    windows: dict[object, Window] = {}
    yield windows
    for one in windows.values():
        one.close()


@pytest.fixture
def look(kept_windows, browser, device, cookies_of) -> Iterator[Callable[..., Window]]:
    """As `visit`, for tests that only look: the next test of the file goes on in the same window."""

    def look_as(user: str, **options) -> Window:
        who = (user, *options.items())
        if who not in kept_windows:
            kept_windows[who] = Window(browser, device.admin_port, cookies=cookies_of(user), **options)
        return kept_windows[who]

    yield look_as
    complaints = _taken_complaints(kept_windows.values())
    assert not complaints, "\n".join(complaints)
