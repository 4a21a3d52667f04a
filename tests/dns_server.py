"""A DNS server on loopback, which knows what a test tells it."""

import socket
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset


class DnsServer:
    """Answers by UDP; `records` maps a name and a type to records as text, or a name to an error of `dns.rcode`.

    A name whose error is None gets no answer at all; one that is not in `records` does not exist.
    """

    def __init__(self, records: dict[tuple[str, str] | str, list[str] | dns.rcode.Rcode | None]) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, name="dns server")

    def __enter__(self) -> "DnsServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join(10)
        self._socket.close()

    @property
    def resolver(self) -> dns.resolver.Resolver:
        """One that asks this server and no other."""
        one = dns.resolver.Resolver(configure=False)
        one.nameservers, one.port = ["127.0.0.1"], self._socket.getsockname()[1]
        return one

    def _run(self) -> None:
        while True:
            packet, client = self._socket.recvfrom(4096)
            if not packet:  # the end
                return
            answer = self._answer(dns.message.from_wire(packet))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        whole = self.records.get(name, ())
        if whole is None:
            return None
        if isinstance(whole, dns.rcode.Rcode):
            answer.set_rcode(whole)
        elif not any(known[0] == name for known in self.records if isinstance(known, tuple)):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif (name, kind) in self.records:
            answer.answer.append(
                dns.rrset.from_text(question.name, 60, "IN", kind, *self.records[name, kind])
            )
        return answer
