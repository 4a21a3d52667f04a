"""E-mail straight to the servers of the receiver's domain, without an account.

Between servers TLS is used where it is offered, and nobody's certificate is checked: there is none to check it against
(RFC 7435). Whoever is on the way can read such mail, or have the encryption left out.
"""

import random
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

from otppi.contracts.mail import MailRefused, OutgoingMail, Relayed
from otppi.lib.clock import Clock
from otppi.lib.deadline import Deadline
from otppi.mail.settings import PLAIN
from otppi.mail.trouble import AccountTrouble
from otppi.model.errors import SendFailed

if TYPE_CHECKING:
    import dns.rdatatype
    import dns.resolver

    from otppi.mail.connection import Connection

_PORT = 25
_MOST_PLACES = 8  # addresses that are tried for one message, and servers whose addresses are looked up
_LOOK_UP_S = 10.0
_PATIENCE_S = 20.0
_FOR_GOOD = 500
# Of the internet once, and of whichever network on the way has them now (RFC 3879; RFC 7526).
_GIVEN_UP = (IPv6Network("fec0::/10"), IPv4Network("192.88.99.0/24"))
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1


def is_public(address: str) -> bool:
    """Whether an address is one of the internet: neither of a local network nor of the device itself."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        # What an address of IPv6 leads to that holds one of IPv4.
        ip = ip.ipv4_mapped or ip.sixtofour or (ip_address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or any(ip in one for one in _GIVEN_UP))


class Direct:
    """Implements `MailSender.send` without an account; may be called from any thread."""

    def __init__(
        self,
        *,
        helo: Callable[[], str],
        clock: Clock,
        resolver: "dns.resolver.Resolver | None" = None,
        port: int = _PORT,
        may_reach: Callable[[str], bool] = is_public,
    ) -> None:
        """Take what there is to do it with.

        Args:
            helo: The name of the device among servers.
            clock: Dates messages that have no date.
            resolver: Asked for names; None for that of the system.
            port: Where servers listen.
            may_reach: Whether an address may be connected to. Whoever owns a domain chooses the addresses of its
                servers, and must not make the device talk to its own network.
        """
        self._helo = helo
        self._clock = clock
        self._resolver = resolver
        self._port = port
        self._may_reach = may_reach

    def send(self, mail: OutgoingMail, until: Deadline, before_submit: Callable[[], None]) -> None:
        """See `MailSender.send`; the servers of the domain are tried in their order (RFC 5321, 5.1)."""
        from otppi.mail.compose import completed

        if not isinstance(mail.body, Relayed):
            raise MailRefused(
                "only a finished e-mail can go without an account, as nobody else is its sender"
            )
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC).astimezone()
        content = completed(mail.body, mail.message_id, self._helo(), now)
        trouble: SendFailed | None = None
        for tried, address in enumerate(self._places(mail.address.rpartition("@")[2], until)):
            if until.expired or tried == _MOST_PLACES:
                break
            try:
                connection = self._connected(address, until)
            except AccountTrouble as error:
                trouble = error
                continue
            try:
                connection.send(mail.body.sender, mail.address, content, until, before_submit)
            except AccountTrouble as error:
                if error.reply_code >= _FOR_GOOD:
                    raise MailRefused(str(error)) from None
                trouble = error
            else:
                return
            finally:
                connection.close()
        raise trouble or SendFailed("no server of the domain was reached in time")

    def _connected(self, address: str, until: Deadline) -> "Connection":
        from otppi.mail.connection import OPPORTUNISTIC, Connection, NotEncrypted, Server

        def server(security: str) -> Server:
            return Server(
                host=address,
                port=self._port,
                security=security,
                timeout_s=_PATIENCE_S,
                context=None if security == PLAIN else self._unverified,
                name=self._helo(),
            )

        try:
            return Connection(server(OPPORTUNISTIC), until)
        except NotEncrypted:
            if until.expired:
                raise
            return Connection(server(PLAIN), until)

    def _places(self, domain: str, until: Deadline) -> Iterator[str]:
        """Yield the addresses of the servers of a domain, the one to be tried first at first.

        Raises:
            MailRefused: There are none.
            SendFailed: Nobody could say.
        """
        _refuse_literal(domain)
        unknown: SendFailed | None = None
        are_none, are_near = True, False
        for host in self._servers(domain, until)[:_MOST_PLACES]:
            # Servers look less kindly upon a sender by IPv6.
            for kind in ("A", "AAAA"):
                try:
                    addresses = self._looked_up(host, kind, until)
                except SendFailed as error:
                    unknown = error
                    continue
                for address in addresses or ():
                    if self._may_reach(address):
                        are_none = False
                        yield address
                    else:
                        are_near = True
        if not are_none:
            return
        if unknown is not None:
            raise unknown
        if are_near:
            raise MailRefused("the servers of the domain are at addresses that are not of the internet")
        raise MailRefused("the servers of the domain have no address")

    def _servers(self, domain: str, until: Deadline) -> list[str]:
        """Return the names of the servers of a domain: the preferred ones first, equals in any order."""
        records = self._looked_up(domain, "MX", until)
        if records is None:
            raise MailRefused("the domain of the receiver does not exist")
        preferences = [(int(one.split()[0]), random.random(), one.split()[1]) for one in records]  # noqa: S311
        hosts = [host for _, _, host in sorted(preferences)]
        if hosts == ["."]:
            raise MailRefused("the domain of the receiver takes no e-mail (RFC 7505)")
        return [host for host in hosts if host != "."] or [domain]

    def _looked_up(self, name: str, kind: str, until: Deadline) -> list[str] | None:
        """Return the records of a name as text; None if there is no such name."""
        import dns.exception
        import dns.name
        import dns.resolver

        unknown = SendFailed("the servers of the domain cannot be looked up now")
        if until.expired:
            raise unknown
        try:
            # With its final dot it is never looked for in the device's own domain.
            whole = dns.name.from_text(name)
            resolver = self._resolver or dns.resolver.Resolver()
            lifetime_s = min(_LOOK_UP_S, until.remaining_s)
            answer = resolver.resolve(whole, kind, lifetime=lifetime_s, raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            return None
        except (dns.exception.DNSException, OSError):
            raise unknown from None
        return [record.to_text() for record in answer]

    @cached_property
    def _unverified(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


def _refuse_literal(domain: str) -> None:
    """Refuse an address in the place of a domain, by which a sender would choose what the device talks to.

    Raises:
        MailRefused: It is one.
    """
    try:
        ip_address(domain.strip("[]").removeprefix("IPv6:"))
    except ValueError:
        return
    raise MailRefused("the receiver is at an address and not at a domain")
