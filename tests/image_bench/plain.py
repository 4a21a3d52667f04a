"""A Debian that somebody else has set up: the packages of the stage, and nothing of the stage itself."""

import shutil
from dataclasses import replace
from pathlib import Path

from tests.image_bench.disk import DISK_ID, Parts, make_boot_and_root, make_initrd
from tests.image_bench.recipe import Recipe
from tests.image_bench.rootfs import unpacked

# After the machine's own words, and so instead of them.
WORDS = ("rw", "init=/sbin/init")
_NAME = "toko"
_FSTAB = "PARTUUID={id}-02 / ext4 defaults,noatime 0 1\nPARTUUID={id}-01 /boot/firmware vfat defaults 0 2\n"


def plain(recipe: Recipe, image: Parts, folder: Path) -> tuple[Parts, Path]:
    """Make the parts of such a machine in a folder, and its card; it is left with the tools of an image."""
    tree, card = folder / "tree", folder / "card.img"
    unpacked(recipe, recipe.packages(), tree)
    (tree / "etc/fstab").write_text(_FSTAB.format(id=DISK_ID.removeprefix("0x")))
    (tree / "etc/hostname").write_text(f"{_NAME}\n")
    (tree / "etc/machine-id").write_text("uninitialized\n")
    (tree / "boot/firmware").mkdir(exist_ok=True)
    (kernel,) = tree.glob("boot/vmlinuz-*")
    shutil.copy(kernel, folder / "vmlinuz")
    make_initrd(tree, image.toolbox.with_name("busybox"), folder / "initrd")
    make_boot_and_root(tree, str(card))
    shutil.rmtree(tree)
    return replace(image, folder=folder), card
