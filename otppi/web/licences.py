"""The licences of OTP-Pi and of everything it is made with, as they lie on the device."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

OWN = "otppi"
_PACKAGE = Path(__file__).parents[1]
_LICENCE_FILE = re.compile(r"(?i)(licen[cs]e|copying|notice)")
_REQUIRED = re.compile(r"[A-Za-z0-9._-]+")
_VENDORED = "VENDORED.md"
_OWN_EXTRAS = ('extra == "device"', 'extra == "publisher"')


@dataclass(frozen=True, kw_only=True)
class Component:
    """Something that is used, and what it may be used for.

    Attributes:
        key: Names it in addresses.
        name: What its authors call it.
        version: Which one.
        licence: Its name or names, mostly as SPDX has them.
        folder: Where its files are if they were taken in; None for a package that is installed.
    """

    key: str
    name: str
    version: str
    licence: str
    folder: Path | None = None


@cache
def components() -> dict[str, Component]:
    """Return what is installed and taken in, by its key; the own first, then by name."""
    found = [*_installed(), *_taken_in()]
    found.sort(key=lambda one: (one.key != OWN, one.name.lower()))
    return {one.key: one for one in found}


def texts(component: Component) -> list[tuple[str, str]]:
    """Return the files that state the licence, by name; some packages bring none."""
    if component.folder is not None:
        files: Iterable[tuple[str, Path]] = ((one.name, one) for one in sorted(component.folder.iterdir()))
    else:
        listed = metadata.distribution(component.key).files or ()
        # Further down are those of what a package has taken in itself, which it states in its own.
        files = ((one.name, Path(str(one.locate()))) for one in listed if ".dist-info" in one.parts[0])
    return [
        (name, path.read_text(errors="replace"))
        for name, path in files
        if _LICENCE_FILE.search(name) and path.is_file()
    ]


def _installed() -> Iterator[Component]:
    """Walk from the own package to all that it needs."""
    seen: set[str] = set()
    wanted = [OWN]
    while wanted:
        key = _key(wanted.pop())
        if key in seen:
            continue
        seen.add(key)
        try:
            found = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue  # needed by other versions of Python only
        yield Component(
            key=key,
            name=found.metadata["Name"],
            version=found.version,
            licence=_licence(found.metadata),
        )
        for needed in found.requires or ():
            if _is_used(key, needed) and (name := _REQUIRED.match(needed)):
                wanted.append(name[0])


def _is_used(key: str, needed: str) -> bool:
    """Whether a package is on a device for what it needs: of the extras, only some of the own package are."""
    return "extra ==" not in needed or (key == OWN and any(one in needed for one in _OWN_EXTRAS))


def _licence(about: metadata.PackageMetadata) -> str:
    for field in ("License-Expression", "License"):
        for stated in about.get_all(field) or ():
            return str(stated).partition("\n")[0]
    classes = [one for one in about.get_all("Classifier") or () if one.startswith("License ::")]
    return ", ".join(one.rpartition(" :: ")[2] for one in classes)


def _taken_in() -> Iterator[Component]:
    for note in sorted(_PACKAGE.rglob(_VENDORED)):
        text = note.read_text()
        yield Component(
            key=note.parent.name,
            name=_found(r"# (.+)", text),
            version=_found(r"\| Version \| (.+?) \|", text),
            licence=_found(r"\| Licence \| ([\w.-]+)", text),
            folder=note.parent,
        )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
