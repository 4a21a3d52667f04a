"""TLS with a certificate that is renewed while the broker runs."""

import logging
import ssl
from pathlib import Path

log = logging.getLogger(__name__)

_Signature = tuple[tuple[int, int], tuple[int, int]]


class Certificate:
    """A certificate with its key, as files; `context` goes on with new ones as soon as `refresh` has seen them."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load it.

        Raises:
            OSError: A file cannot be read, or (ssl.SSLError) they are not a certificate and its key.
        """
        self._files = certificate, key
        self._signature = self._now()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(self.context)

    def refresh(self) -> None:
        """Use what is in the files if they have changed and can be used; connections that are open stay as they are."""
        try:
            signature = self._now()
            if signature == self._signature:
                return
            self._signature = signature
            # In a context of its own first: a pair of which only one file is new yet would spoil the one in use.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self.context)
        except OSError as error:
            fields = {"file": self._files[0], "reason": error.strerror or str(error)}
            log.warning("the new certificate cannot be used, the old one stays", extra={"fields": fields})
        else:
            log.info("certificate renewed", extra={"fields": {"file": self._files[0]}})

    def _load(self, context: ssl.SSLContext) -> None:
        # An empty passphrase instead of a question on the terminal, for which nobody waits.
        context.load_cert_chain(*self._files, password="")

    def _now(self) -> _Signature:
        certificate, key = (path.stat() for path in self._files)
        return (certificate.st_mtime_ns, certificate.st_ino), (key.st_mtime_ns, key.st_ino)
