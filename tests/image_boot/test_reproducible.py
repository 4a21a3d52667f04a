"""The stage gives the same root file system each time, by pi-gen's engine as by the runner. Nothing is booted."""

from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.image_bench.rootfs import staged
from tests.image_bench.trees import Entry, differences, entries

# Something is mounted on them while the stage runs, so it cannot date them.
MOUNTED = ("dev", "proc", "run", "sys", "tmp")
# pi-gen installs the stage's packages on a system that is there, the runner has all of them at once: users get other
# numbers, apt other notes. And SOURCE_DATE_EPOCH is set meanwhile, by which Python marks its bytecode with hashes.
OF_PACKAGES = (
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/gshadow",
    "usr/lib/python3*.pyc",
    "usr/share/*.pyc",
    "var/lib/apt/extended_states",
    "var/cache/debconf",
    "var/cache/debconf/tmp.ci",
    "etc/runit/runsvdir/default/ssh",
)


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return tmp_path_factory.mktemp("trees")


@pytest.fixture(scope="module")
def first(recipe, trees):
    staged(recipe, trees / "first")
    return entries(trees / "first")


def test_two_builds_are_equal_in_contents_modes_owners_and_dates(first, recipe, trees):
    staged(recipe, trees / "second")

    assert list(differences(first, entries(trees / "second"))) == []


def test_nothing_is_younger_than_the_source_but_python_files_of_packages(first, recipe):
    younger = {path for path, entry in unmounted(first) if entry.date_ns > recipe.date_s * 10**9}
    assert {path for path in younger if not (path.startswith("usr/") and path.endswith(".py"))} == set()
    assert {path for path in younger if path.startswith("usr/lib/otppi/")} == set()


def test_pi_gen_gives_the_same(first, recipe, trees):
    if recipe.pigen is None:
        pytest.skip("NOT SHOWN HERE: needs PIGEN_DIR, a checkout of pi-gen's branch arm64")
    staged(replace(recipe, pigen=None), trees / "ours")

    ours, theirs = (
        {
            path: entry
            for path, entry in unmounted(one)
            if not any(fnmatch(path, name) for name in OF_PACKAGES)
        }
        for one in (entries(trees / "ours"), first)
    )
    assert list(differences(ours, theirs)) == []
    for name in ("passwd", "shadow", "group"):
        assert known(trees / "ours/etc" / name) == known(trees / "first/etc" / name)


def unmounted(tree: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    return ((path, entry) for path, entry in tree.items() if path.partition("/")[0] not in MOUNTED)


def known(table: Path) -> list[str]:
    """Names, without the numbers."""
    return sorted(line.partition(":")[0] for line in table.read_text().splitlines())
