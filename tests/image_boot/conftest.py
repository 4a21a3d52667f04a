"""One board for all tests of this folder: booted once, which the modules use one after the other."""

import os
import platform
from collections.abc import Iterator

import pytest

from tests import needs
from tests.image_bench.disk import Parts, parts
from tests.image_bench.machine import Board, Machine
from tests.image_bench.radio import Station
from tests.image_bench.recipe import Recipe

_BUILD_S = 3600
_BUILDERS = ("mmdebstrap", "mke2fs", "bsdtar", "zstd", "xz", "modprobe", "qemu-img", "unshare")
_EMULATORS = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "image_boot" in item.path.parts:
            item.add_marker(pytest.mark.image)
            item.add_marker(
                pytest.mark.timeout(_BUILD_S if "image" in getattr(item, "fixturenames", ()) else 600)
            )


@pytest.fixture(scope="session")
def architecture() -> str:
    """OTPPI_IMAGE_ARCHITECTURE, or what this machine builds without emulation."""
    own = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "arm64")
    return os.environ.get("OTPPI_IMAGE_ARCHITECTURE") or own


@pytest.fixture(scope="session")
def image(architecture: str) -> Parts:
    """The image, built if the cache has none."""
    needs.root()
    needs.programs(*_BUILDERS, _EMULATORS[architecture])
    return parts(Recipe(architecture=architecture))


@pytest.fixture(scope="session")
def machine(image: Parts) -> Iterator[Machine]:
    """Booted to the end, its gateway at work; what a module plugs in or sets, it takes back."""
    with Machine(image, Board()) as machine:
        machine.power_on()
        machine.wait_for("test $(systemctl is-active otppi) = active", limit_s=240)
        machine.wait_for("ip -4 address show wlan0 | grep -q 'inet 192.168.0.11/24'", limit_s=120)
        yield machine


@pytest.fixture(scope="session")
def station(machine: Machine) -> Station:
    """A Wi-Fi client that has not joined yet."""
    return Station(machine)
