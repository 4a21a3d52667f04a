"""What an image is made of, and the names under which its parts are kept in the cache."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "image" / "stage-otppi"
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
_LEFT_OUT = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A test image: plain Debian with the stage on it."""

    architecture: str
    suite: str = "trixie"
    stage: Path = STAGE

    def sub_stages(self) -> list[Path]:
        """Return the sub-stages that run on plain Debian, in the order of pi-gen."""
        folders = (one for one in self.stage.iterdir() if one.is_dir() and not (one / "SKIP").exists())
        return sorted(one for one in folders if not one.name.endswith(REAL_BOARD_SUFFIX))

    def packages(self) -> list[str]:
        """Return the packages of the ground and of the stage."""
        lists = (file for one in self.sub_stages() for file in sorted(one.glob("[0-9][0-9]-packages*")))
        words = (word for file in lists for word in _words(file.read_text()))
        ground = (one.format(architecture=self.architecture) for one in _GROUND)
        return list(dict.fromkeys((*ground, *words)))

    def base_key(self) -> str:
        """Return the name of the file system before the stage's scripts."""
        own = (_BENCH / "rootfs.py").read_bytes()
        return _key(self.suite, self.architecture, *self.packages(), own)

    def image_key(self) -> str:
        """Return the name of the finished image: of everything that goes into it."""
        sources = (
            self.stage,
            ROOT / "image/wheels.sh",
            ROOT / "rootfs-overlay",
            ROOT / "otppi",
            ROOT / "requirements.lock",
        )
        own = (_BENCH / name for name in ("disk.py", "run-stage.sh", "initrd-init.sh"))
        return _key(self.base_key(), *_contents((*sources, ROOT / "pyproject.toml", *own)))

    def toolbox_key(self) -> str:
        """Return the name of the disk with the tools of the tests."""
        return _key(self.suite, self.architecture, *_contents((GUEST, _BENCH / "disk.py")))


def cache() -> Path:
    """Return the folder of the cache: OTPPI_IMAGE_CACHE, or one in the user's own."""
    folder = Path(os.environ.get("OTPPI_IMAGE_CACHE") or Path.home() / ".cache" / "otppi-image")
    folder.mkdir(parents=True, exist_ok=True)
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


def _key(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]
