from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import needs, ports
from tests.gateway_under_test import GatewayUnderTest

pytest_plugins = ["tests.broker_servers.fixtures"]

# Folders whose tests share a browser and a device, or brokers, which are slow to start.
_TOGETHER = (("tests/browser/",), ("tests/brokers/", "tests/publisher/"))


class FakeClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.boot = 1_000.0
        self.trusted = True

    def wall_s(self) -> float:
        return self.wall

    def boot_s(self) -> float:
        return self.boot

    def wall_is_trusted(self) -> bool:
        return self.trusted

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


class _WholeFiles(LoadScopeScheduling):
    """Gives the processes of `pytest -n` whole files, and what belongs together to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folders[0] for folders in _TOGETHER if file.startswith(folders)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # what takes longest comes early enough as it stands
    return _WholeFiles(config, log)


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", ())]
    if lines := needs.summary(skipped):
        terminalreporter.section("NOT SHOWN ON THIS MACHINE", red=True)
        terminalreporter.write_line(f"{len(skipped)} tests were skipped; README, Tests, says where they run:")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    return ports.free_port


@pytest.fixture
def gateway(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., GatewayUnderTest]]:
    """Start real gateways on simulated modems; all are stopped at the end of the test."""
    running: list[GatewayUnderTest] = []

    def start(**options) -> GatewayUnderTest:
        one = GatewayUnderTest(tmp_path / f"gateway{len(running)}", free_port, **options)
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()
