from collections.abc import Callable, Iterator

import pytest

from tests.vendor_server import VendorServer


@pytest.fixture
def vendor() -> Iterator[Callable[..., VendorServer]]:
    """Start vendors; all are stopped at the end of the test."""
    running: list[VendorServer] = []

    def start(**options) -> VendorServer:
        running.append(VendorServer(**options))
        running[-1].start()
        return running[-1]

    yield start
    for one in running:
        one.stop()
