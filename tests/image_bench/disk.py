"""A machine's parts on disk: kernel, initrd, root disk and the disk with the tools of the tests."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.image_bench.recipe import GUEST, Recipe, cache
from tests.image_bench.rootfs import extracted, run, staged

_STEP_S = 300.0
_HERE = Path(__file__).parent
_DISK = "4G"
_KEPT_IMAGES = 3
_MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "ext4", "vfat", "nls_ascii")


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
    def root(self) -> Path:
        """The disk with the root file system, qcow2."""
        return self.folder / "root.qcow2"


def parts(recipe: Recipe) -> Parts:
    """Return the parts of an image; they are made when the cache has none of exactly this content. Needs root."""
    toolbox = cache() / f"toolbox-{recipe.architecture}-{recipe.toolbox_key()}"
    folder = cache() / f"image-{recipe.architecture}-{recipe.image_key()}"
    for made, make in ((toolbox, _make_toolbox), (folder, _make_image)):
        if not made.exists():
            with _work(cache()) as new:
                make(recipe, toolbox, new)
                with suppress(OSError):  # another run was quicker: its result is the same
                    new.rename(made)
    folder.touch()
    _forget_old(f"image-{recipe.architecture}-*")
    return Parts(architecture=recipe.architecture, folder=folder, toolbox=toolbox / "toolbox.img")


def _forget_old(pattern: str) -> None:
    """Every change of the program makes an image of 200 MB; one that a running test uses is among the newest."""
    by_age = sorted(cache().glob(pattern), key=lambda one: one.stat().st_mtime, reverse=True)
    for one in by_age[_KEPT_IMAGES:]:
        shutil.rmtree(one, ignore_errors=True)


def _make_toolbox(recipe: Recipe, _: Path, to: Path) -> None:
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
        make_initrd(tree, toolbox / "busybox", to / "initrd")
        _filesystem(tree, work / "root.img", _DISK, "rootfs")
        packing = ("-c", "-o", "compression_type=zstd")
        files = (str(work / "root.img"), str(to / "root.qcow2"))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *packing, *files, limit_s=_STEP_S)


def make_initrd(tree: Path, busybox: Path, to: Path) -> None:
    """Make an initrd of busybox and the modules that lead to the root; Debian's own takes minutes under emulation."""
    with _work() as work:
        for name in ("bin", "dev", "proc", "sys", "mnt", "lib"):
            (work / name).mkdir()
        shutil.copy2(busybox, work / "bin/busybox")
        shutil.copy2(_HERE / "initrd-init.sh", work / "init")
        order = [_put_module(tree, file, work / "lib") for file in _module_files(tree)]
        (work / "order").write_text("".join(f"{one}\n" for one in order))
        run(
            "bsdtar",
            "--format",
            "newc",
            "--uid",
            "0",
            "--gid",
            "0",
            "-C",
            str(work),
            "-cf",
            str(to),
            ".",
            limit_s=60,
        )


def _module_files(tree: Path) -> list[Path]:
    (version,) = (one.name for one in (tree / "usr/lib/modules").iterdir())
    found: dict[Path, None] = {}
    for name in _MODULES:
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
    (tree / "etc/fstab").write_text("LABEL=rootfs / ext4 defaults,noatime 0 1\n")


def _filesystem(tree: Path, image: Path, size: str, label: str) -> None:
    run("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", str(tree), str(image), size, limit_s=_STEP_S)


@contextmanager
def _work(place: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="otppi-image-", dir=place))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
