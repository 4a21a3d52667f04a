"""The certificate of all HTTPS doors: the device's self-signed one, or one of the owner's in its place.

There is one own certificate and the self-signed one to go back to; who wants another uploads it.
"""

import binascii
import threading
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otppi.lib.clock import Clock
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest, HostError
from otppi.wsgi.certificates import (
    Examined,
    described,
    drop_own,
    examine,
    keep_own,
    own_certificate,
    own_path,
    public_part,
)
from otppi.wsgi.tls import (
    CannotMakeCertificate,
    CertificateFiles,
    Facts,
    ensure_certificate,
    facts_in,
    replace_certificate,
)

_DAY_S = 86_400
_WARNED_DAYS = 30
_ADVICE = (
    "Upload a new one on the certificate page or by otppi certificate put; otppi certificate drop goes back."
)


@dataclass(frozen=True)
class _InUse:
    files: CertificateFiles
    facts: Facts
    is_own: bool


class Certificates:
    """Shows and changes the certificate; every method may be called from any thread."""

    def __init__(
        self,
        folder: Path,
        names: Callable[[], Sequence[str]],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        """Take what there is to do it with.

        Args:
            folder: Where certificates and keys are kept.
            names: What a client may call the device by.
            clock: Whether a certificate is over.
            changed: Told when another certificate is to be used.
        """
        self._folder = folder
        self._names = names
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()  # around all that writes to the folder

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the calls of the control socket; they take and return JSON values."""
        return {
            "certificate.show": self.show,
            "certificate.pem": self.pem,
            "certificate.put": self.put,
            "certificate.renew": self.renew,
            "certificate.drop": self.drop,
        }

    def files(self) -> CertificateFiles:
        """Return what the servers are to use; the self-signed one is made or renewed if need be.

        An own certificate that is over stays in use: to who pins it or does not look it is as good as before.

        Raises:
            CannotMakeCertificate, OSError: There is none.
        """
        with self._lock:
            own = own_certificate(self._folder)
            return own or ensure_certificate(self._folder, self._names(), self._clock)

    def show(self) -> dict[str, Any]:
        """Return the certificate that is in use: whose it is, for which names, and until when."""
        used = self._in_use()
        facts = used.facts
        return {
            "is_own": used.is_own,
            "subject": facts.subject,
            "issuer": facts.issuer,
            "names": facts.names,
            "valid_from": _moment(facts.not_before_s).isoformat(),
            "valid_until": _moment(facts.not_after_s).isoformat(),
            "days_left": self._days_left(facts),
            "chain": facts.chain,
            "fingerprint": used.files.fingerprint,
            # The common name alone is looked at by no browser.
            "notes": [] if facts.names else ["It names no host (subjectAltName), so browsers refuse it."],
        }

    def pem(self) -> str:
        """Return the certificate that is in use and its chain as PEM, for whoever is to trust it; never the key."""
        with _told():
            return public_part(self.files().certificate)

    def put(self, documents: Sequence[str], password: str = "") -> dict[str, Any]:
        """Use an own certificate from now on, and return what `show` does.

        Args:
            documents: Files in Base64: PEM, PKCS#12 or a key store of Java; together one private key, its
                certificate and the certificates of its issuers.
            password: Of the key or the file, if it has one; it is not kept.
        """
        examined = self._examined(documents, password)
        with self._lock:
            try:
                keep_own(self._folder, examined)
            except OSError as error:
                raise HostError(f"the certificate could not be saved: {error.strerror}") from error
        self._changed()
        return self.show()

    def renew(self) -> dict[str, Any]:
        """Make a new self-signed certificate with a new key, and return what `show` does."""
        if own_path(self._folder).exists():
            raise BadRequest("", "a certificate of your own is in use; drop it first")
        with self._lock, _told():
            replace_certificate(self._folder, self._names(), self._clock)
        self._changed()
        return self.show()

    def drop(self) -> dict[str, Any]:
        """Forget the own certificate and its key, go back to the self-signed one, and return what `show` does."""
        with self._lock:
            try:
                drop_own(self._folder)
            except FileNotFoundError:
                raise BadRequest("", "there is no certificate of your own") from None
            except OSError as error:
                raise HostError(f"the certificate could not be removed: {error.strerror}") from error
        self._changed()
        return self.show()

    def checks(self) -> Iterable[Check]:
        """Say whether browsers will take the certificate, as far as the device can know."""
        try:
            used = self._in_use()
        except HostError as error:
            yield _check(Level.RED, str(error), "Free some room on the disk, or flash another card.")
            return
        days, until = self._days_left(used.facts), f"{_moment(used.facts.not_after_s):%Y-%m-%d}"
        if not used.is_own:
            if own_path(self._folder).exists():
                yield _check(Level.RED, "your own is damaged, the self-signed one is used", _ADVICE)
            else:
                yield _check(Level.GREEN, f"self-signed, until {until}")
        elif days is not None and days < 0:
            yield _check(Level.RED, f"your own ended on {until}", _ADVICE)
        elif days is not None and days < _WARNED_DAYS:
            yield _check(Level.YELLOW, f"your own ends on {until}", _ADVICE)
        else:
            yield _check(Level.GREEN, f"your own, until {until}")

    def _examined(self, documents: Sequence[str], password: str) -> Examined:
        try:
            files = [b64decode(one, validate=True) for one in documents]
        except (binascii.Error, ValueError, TypeError):
            raise BadRequest("documents", "must be files in Base64") from None
        with _told():
            return examine(files, password, self._clock)

    def _in_use(self) -> _InUse:
        with _told():
            files = self.files()
            facts = facts_in(files.certificate) or described(files.certificate)
        return _InUse(files, facts, is_own=files.certificate == own_path(self._folder))

    def _days_left(self, facts: Facts) -> int | None:
        if not self._clock.wall_is_trusted():
            return None
        return int((facts.not_after_s - self._clock.wall_s()) // _DAY_S)


@contextmanager
def _told() -> Iterator[None]:
    """Let errors of the disk and of the process that knows certificates be those of the host."""
    try:
        yield
    except CannotMakeCertificate as error:
        raise HostError("certificates cannot be made or read now: the process for it failed") from error
    except OSError as error:
        raise HostError(f"certificates cannot be read or written: {error.strerror}") from error


def _moment(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _check(level: Level, finding: str, advice: str = "") -> Check:
    return Check(name="certificate", level=level, finding=finding, advice=advice)
