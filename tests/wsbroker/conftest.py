from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otppi.wsbroker.limits import Limits
from tests.wsbroker.running import HTPASSWD, RunningBroker


@pytest.fixture(scope="session")
def htpasswd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("accounts") / "htpasswd"
    file.write_text(HTPASSWD)
    return file


@pytest.fixture(scope="session")
def _shared(htpasswd: Path) -> Iterator[RunningBroker]:
    broker = RunningBroker(htpasswd)
    yield broker
    broker.stop()


@pytest.fixture
def shared(_shared: RunningBroker) -> Iterator[RunningBroker]:
    """A broker for all tests that leave it as it was; each takes topics of its own."""
    yield _shared
    _shared.close_clients()


@pytest.fixture
def broker(htpasswd: Path) -> Iterator[Callable[..., RunningBroker]]:
    """Starts brokers with other limits; all are stopped at the end of the test."""
    running: list[RunningBroker] = []

    def start(file: Path = htpasswd, /, *, host: str = "127.0.0.1", **options: object) -> RunningBroker:
        fixed = {name: options.pop(name) for name in ("certificate", "proxies", "look_s") if name in options}
        running.append(RunningBroker(file, Limits(**options), host=host, **fixed))
        return running[-1]

    yield start
    for one in running:
        one.close_clients()
        one.stop()
