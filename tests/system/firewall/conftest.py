from collections.abc import Iterator

import pytest

from tests.system.firewall.namespaces import Place


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()
