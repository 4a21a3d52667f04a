from collections.abc import Callable, Iterator

import pytest

from tests.gateway_under_test import GatewayUnderTest
from tests.web.admin_client import AdminClient, admin_client


@pytest.fixture
def pages(gateway: Callable[..., GatewayUnderTest]) -> Iterator[GatewayUnderTest]:
    """A gateway on a desk, with one modem, whose pages are asked."""
    return gateway(on_desk=True)


@pytest.fixture
def owner(pages: GatewayUnderTest) -> AdminClient:
    return admin_client(pages)


@pytest.fixture
def operator(pages: GatewayUnderTest, owner: AdminClient) -> AdminClient:
    return admin_client(pages, "operator", "operator")


@pytest.fixture
def viewer(pages: GatewayUnderTest, owner: AdminClient) -> AdminClient:
    return admin_client(pages, "viewer", "viewer")
