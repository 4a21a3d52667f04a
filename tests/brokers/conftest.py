import pytest

from tests.brokers.targets import TARGETS
from tests.service_process import services


@pytest.fixture
def make_service(tmp_path, free_port):
    with services(tmp_path, free_port) as make:
        yield make


@pytest.fixture(params=TARGETS)
def target(request):
    """One broker after the other, as new."""
    fixture, made_of = TARGETS[request.param]
    server = request.getfixturevalue(fixture)
    server.reset()
    return made_of(server)
