"""One board for all tests of this folder: booted once, which the modules use one after the other."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.image_bench import binfmt
from tests.image_bench.disk import Parts, parts
from tests.image_bench.machine import Board, Machine
from tests.image_bench.radio import Station
from tests.image_bench.recipe import Recipe, own_architecture

_BUILD_S = 3600
_BUILDERS = ("mmdebstrap", "mke2fs", "mkfs.vfat", "sfdisk", "cpio", "zstd", "xz", "modprobe", "unshare")
_EMULATORS = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "image_boot" in item.path.parts:
            item.add_marker(pytest.mark.image)
            builds = {"image", "recipe"} & set(getattr(item, "fixturenames", ()))
            item.add_marker(pytest.mark.timeout(_BUILD_S if builds else 600))


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """Of OTPPI_IMAGE_ARCHITECTURE or the machine's own kind; by pi-gen's engine if PIGEN_DIR is a checkout of it."""
    needs.root()
    needs.programs(*_BUILDERS)
    architecture = os.environ.get("OTPPI_IMAGE_ARCHITECTURE") or own_architecture()
    if not binfmt.is_known(architecture):
        needs.file(binfmt.rule(architecture))
    pigen = os.environ.get("PIGEN_DIR")
    return Recipe(architecture=architecture, pigen=Path(pigen).resolve() if pigen else None)


@pytest.fixture(scope="session")
def image(recipe: Recipe) -> Parts:
    """The image, built if the cache has none."""
    needs.programs("qemu-img", _EMULATORS[recipe.architecture])
    return parts(recipe)


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
