"""The bill of materials of an image, in CycloneDX JSON: Debian's packages, and the libraries of the lock file."""

import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from urllib.parse import quote

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)((?:.*\\\n)*.*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# Any fixed one would do: it turns the image's hash into a serial number that is the same for the same image.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "otppi-image")


def debian(status: str) -> Iterator[dict[str, object]]:
    """Yield the installed packages of a dpkg status file."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") != "install ok installed":
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro=trixie"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "supplier": {"name": fields["Maintainer"]},
            # "linux (6.12.1-1)" where a binary package is named or numbered differently from its source.
            "properties": [{"name": "otppi:source-package", "value": fields.get("Source", name)}],
        }


def python(lock: str) -> Iterator[dict[str, object]]:
    """Yield the libraries of a lock file. One of the hashes is that of the wheel which was installed."""
    for name, version, rest in _REQUIREMENT.findall(lock):
        purl = f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version, safe='')}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "properties": [{"name": "otppi:locked-sha256", "value": found} for found in _HASH.findall(rest)],
        }


def bill(version: str, status: str, lock: str, image_sha256: str, made_at: datetime) -> dict[str, object]:
    """Return the whole document.

    Args:
        version: Of OTP-Pi.
        status: The text of /var/lib/dpkg/status in the image.
        lock: The text of requirements.lock.
        image_sha256: Of the plain image.
        made_at: The date of the release.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(_NAMESPACE, image_sha256).urn,
        "version": 1,
        "metadata": {
            "timestamp": made_at.isoformat(),
            "component": {
                "type": "operating-system",
                "bom-ref": "otppi",
                "name": "otppi",
                "version": version,
                "hashes": [{"alg": "SHA-256", "content": image_sha256}],
            },
        },
        "components": _sorted([*debian(status), *python(lock)]),
    }


def _sorted(found: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(found, key=lambda component: str(component["bom-ref"]))
