"""A machine's parts on disk: kernel, initrd, card and the disk with the tools of the tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.image_bench.recipe import GUEST, LAYOUT, Recipe, cache, kept
from tests.image_bench.rootfs import extracted, run, staged

_STEP_S = 300.0
_HERE = Path(__file__).parent
# The image is smaller, as on a real card, so that the data partition has room to grow.
CARD_MIB = 8192
# As pi-gen leaves it, before the layout of the card is made. The kernel finds the root by the id.
DISK_ID = "0x07b1ca2d"
_BOOT_START_MIB, _BOOT_MIB, _ROOT_MIB = 4, 64, 2048
_SECTORS = 2048  # of a MiB
_KEPT_IMAGES = 3
_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "ext4", "vfat", "nls_ascii")
_PI_MODULES = ("sdhci_iproc", "bcm2835", "mmc_block")
_PI_DEVICE_TREE = "broadcom/bcm2837-rpi-3-b.dtb"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What QEMU is given; all of it is read only."""

    architecture: str
    folder: Path
    toolbox: Path  # an ext4 disk with the programs that the tests run inside

    @property
    def kernel(self) -> Path:
        """The kernel of the image."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """As much as QEMU needs to find the root."""
        return self.folder / "initrd"

    @property
    def device_tree(self) -> Path:
        """What the kernel must be told of a Raspberry Pi 3B; only for arm64."""
        return self.folder / "pi3.dtb"

    @property
    def card(self) -> Path:
        """The flashed card, qcow2."""
        return self.folder / "card.qcow2"


def parts(recipe: Recipe) -> Parts:
    """Return the parts of an image; they are made when the cache has none of exactly this content. Needs root."""
    architecture = recipe.architecture
    toolbox = kept(f"toolbox-{architecture}-{recipe.toolbox_key()}", partial(_make_toolbox, recipe))
    folder = kept(f"image-{architecture}-{recipe.image_key()}", partial(_make_image, recipe, toolbox))
    folder.touch()
    _forget_old(f"image-{architecture}-*")
    return Parts(architecture=architecture, folder=folder, toolbox=toolbox / "toolbox.img")


def _forget_old(pattern: str) -> None:
    """Every change of the program makes an image of 200 MB; one that a running test uses is among the newest."""
    by_age = sorted(cache().glob(pattern), key=lambda one: one.stat().st_mtime, reverse=True)
    for one in by_age[_KEPT_IMAGES:]:
        shutil.rmtree(one, ignore_errors=True)


def _make_toolbox(recipe: Recipe, to: Path) -> None:
    with _work() as work:
        extracted(recipe, ["busybox-static"], work / "packages")
        tools = work / "tools"
        shutil.copytree(GUEST, tools)
        shutil.copy2(work / "packages/usr/bin/busybox", tools / "busybox")
        shutil.copy2(tools / "busybox", to / "busybox")
        _filesystem(tools, to / "toolbox.img", "16M", "toolbox")


def _make_image(recipe: Recipe, toolbox: Path, to: Path) -> None:
    with _work() as work:
        tree = work / "root"
        staged(recipe, tree)
        _put_fstab(tree)
        (kernel,) = sorted((tree / "boot").glob("vmlinuz-*"))
        shutil.copy(kernel, to / "vmlinuz")
        for device_tree in tree.glob(f"usr/lib/linux-image-*/{_PI_DEVICE_TREE}"):
            shutil.copy(device_tree, to / "pi3.dtb")
        make_initrd(tree, toolbox / "busybox", to / "initrd")
        image, card = str(work / "card.img"), str(to / "card.qcow2")
        make_boot_and_root(tree, image)
        run(str(LAYOUT), image, limit_s=_STEP_S, SOURCE_DATE_EPOCH=str(recipe.date_s))
        packing = ("-c", "-o", "compression_type=zstd")
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *packing, image, card, limit_s=_STEP_S)
        run("qemu-img", "resize", "-q", card, f"{CARD_MIB}M", limit_s=_STEP_S)


def make_boot_and_root(tree: Path, image: str) -> None:
    """Make a card of two partitions, the second with a root file system, as pi-gen does it."""
    root_start_mib = _BOOT_START_MIB + _BOOT_MIB
    table = (
        f"label: dos\nlabel-id: {DISK_ID}\n"
        f"start={_BOOT_START_MIB * _SECTORS}, size={_BOOT_MIB * _SECTORS}, type=c\n"
        f"start={root_start_mib * _SECTORS}, size={_ROOT_MIB * _SECTORS}, type=83\n"
    )
    run("truncate", f"--size={root_start_mib + _ROOT_MIB}M", image, limit_s=60)
    run("bash", "-c", 'sfdisk --quiet "$1" <<<"$2"', "sfdisk", image, table, limit_s=60)
    fat = ("--invariant", "-F", "32", "-s", "1", "-n", "BOOTFS", f"--offset={_BOOT_START_MIB * _SECTORS}")
    run("mkfs.vfat", *fat, image, f"{_BOOT_MIB * 1024}", limit_s=60)
    _filesystem(tree, image, f"{_ROOT_MIB}M", "rootfs", offset=root_start_mib << 20)


def make_initrd(tree: Path, busybox: Path, to: Path) -> None:
    """Make an initrd of busybox and the modules that lead to the root; Debian's own takes minutes under emulation."""
    with _work() as work:
        for name in ("bin", "dev", "proc", "sys", "mnt", "lib"):
            (work / name).mkdir()
        shutil.copy2(busybox, work / "bin/busybox")
        shutil.copy2(_HERE / "initrd-init.sh", work / "init")
        order = [_put_module(tree, file, work / "lib") for file in _module_files(tree)]
        (work / "order").write_text("".join(f"{one}\n" for one in order))
        pack = 'cd "$1" && find . | sort | cpio --quiet --create --format=newc --owner=0:0 >"$2"'
        run("bash", "-c", pack, "pack", str(work), str(to), limit_s=60)


def _module_files(tree: Path) -> list[Path]:
    (version,) = (one.name for one in (tree / "usr/lib/modules").iterdir())
    found: dict[Path, None] = {}
    is_arm = any(tree.glob(f"usr/lib/linux-image-*/{_PI_DEVICE_TREE}"))
    for name in (*_MODULES, *(_PI_MODULES if is_arm else ())):
        said = run("modprobe", "-d", str(tree), "-S", version, "--show-depends", name, limit_s=60)
        words = (line.split() for line in said.splitlines())
        found.update({Path(one[1]): None for one in words if one[0] == "insmod"})
    return list(found)


def _put_module(tree: Path, file: Path, to: Path) -> str:
    name = file.name.removesuffix(".xz").removesuffix(".zst")
    shutil.copy(file, to / file.name)
    if file.suffix in (".xz", ".zst"):
        run(
            "xz" if file.suffix == ".xz" else "zstd",
            "-d",
            "-q",
            *(["--rm"] if file.suffix == ".zst" else []),
            str(to / file.name),
            limit_s=60,
        )
    return name


def _put_fstab(tree: Path) -> None:
    """As pi-gen's export does it."""
    fstab = tree / "etc/fstab"
    fstab.write_text(fstab.read_text().replace("BOOTDEV", f"PARTUUID={DISK_ID.removeprefix('0x')}-01"))


def _filesystem(tree: Path, image: Path | str, size: str, label: str, *, offset: int = 0) -> None:
    where = ("-E", f"offset={offset}") if offset else ()
    run("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", str(tree), *where, str(image), size, limit_s=_STEP_S)


@contextmanager
def _work() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="otppi-image-"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
