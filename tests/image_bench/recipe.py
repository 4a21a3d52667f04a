"""What an image is made of, and the names under which its parts are kept in the cache."""

import hashlib
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "image" / "stage-otppi"
LAYOUT = ROOT / "image" / "layout.sh"
# Only a real Raspberry Pi has the archive, the firmware and the boot partition that these sub-stages work on.
REAL_BOARD_SUFFIX = "-raspberrypi"
_BENCH = Path(__file__).parent
GUEST = _BENCH / "guest"
# What stands for the lite image below the stage: a system that boots, and the kernel.
_GROUND = (
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "iproute2",
    "tzdata",
    "ca-certificates",
    "linux-image-{architecture}",
)
_NO_MANUALS = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_LEFT_OUT = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A test image: plain Debian with the stage on it."""

    architecture: str
    suite: str = "trixie"
    stage: Path = STAGE
    pigen: Path | None = None  # a checkout of pi-gen, whose own engine then runs the stage
    date_s: int = 1_767_225_600  # the SOURCE_DATE_EPOCH of the stage

    def sub_stages(self) -> list[Path]:
        """Return the sub-stages that run on plain Debian, in the order of pi-gen."""
        folders = (one for one in self.stage.iterdir() if one.is_dir() and not (one / "SKIP").exists())
        return sorted(one for one in folders if not one.name.endswith(REAL_BOARD_SUFFIX))

    def ground(self) -> list[str]:
        """Return the packages below the stage."""
        return [one.format(architecture=self.architecture) for one in _GROUND]

    def packages(self) -> list[str]:
        """Return the packages of the ground and of the stage."""
        lists = (file for one in self.sub_stages() for file in sorted(one.glob("[0-9][0-9]-packages*")))
        words = (word for file in lists for word in _words(file.read_text()))
        return list(dict.fromkeys((*self.ground(), *words)))

    def bootstrap(self, variant: str, packages: Sequence[str]) -> list[str]:
        """Return the command that fetches packages, but for its last words: suite, target and archive."""
        return [
            "mmdebstrap",
            f"--architectures={self.architecture}",
            f"--variant={variant}",
            "--components=main",
            f"--include={','.join(packages)}",
            '--aptopt=Apt::Install-Recommends "false"',
            "--dpkgopt=force-unsafe-io",
            *(f"--dpkgopt=path-exclude={one}" for one in _NO_MANUALS),
        ]

    def base_key(self, packages: Sequence[str]) -> str:
        """Return the name of a file system with these packages, before the stage's scripts."""
        return key(self.suite, *self.bootstrap("minbase", packages))

    def image_key(self) -> str:
        """Return the name of the finished image: of everything that goes into it."""
        sources = (
            self.stage,
            ROOT / "image/wheels.sh",
            LAYOUT,
            ROOT / "rootfs-overlay",
            ROOT / "otppi",
            ROOT / "requirements.lock",
        )
        own = (_BENCH / name for name in ("disk.py", "rootfs.py", "run-stage.sh", "initrd-init.sh"))
        engine = (
            () if self.pigen is None else (self.pigen / "build.sh", self.pigen / "scripts", _BENCH / "pigen")
        )
        contents = _contents((*sources, ROOT / "pyproject.toml", *own, *engine))
        return key(self.base_key(self.packages()), str(self.date_s), *contents)

    def toolbox_key(self) -> str:
        """Return the name of the disk with the tools of the tests."""
        return key(self.suite, self.architecture, *_contents((GUEST, _BENCH / "disk.py")))


def own_architecture() -> str:
    """Return Debian's word for this machine's processor."""
    return _MACHINES.get(platform.machine(), platform.machine())


def cache() -> Path:
    """Return the folder of the cache: OTPPI_IMAGE_CACHE, or one in the user's own."""
    folder = Path(os.environ.get("OTPPI_IMAGE_CACHE") or Path.home() / ".cache" / "otppi-image")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of the cache; it is made, whole or not at all, when there is none."""
    folder = cache() / name
    if not folder.exists():
        new = Path(tempfile.mkdtemp(prefix="new-", dir=cache()))
        try:
            new.chmod(0o755)
            make(new)
            with suppress(OSError):  # another run was quicker: its result is the same
                new.rename(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


def _words(text: str) -> list[str]:
    return " ".join(line.partition("#")[0] for line in text.splitlines()).split()


def _contents(sources: Iterable[Path]) -> Iterator[str | bytes]:
    for source in sources:
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_dir() or any(part in _LEFT_OUT for part in file.parts):
                continue
            yield f"{file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name}"
            yield f"{stat.S_IMODE(file.lstat().st_mode):o}"
            yield os.readlink(file) if file.is_symlink() else file.read_bytes()


def key(*parts: str | bytes) -> str:
    """Return a short name for contents."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]
