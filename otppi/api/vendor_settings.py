"""How the vendor API is reached, and how it sends."""

from otppi.settings.fields import boolean, integer, listing, text
from otppi.settings.section import Section

# Each waits on a thread of its own.
MOST_NUMBERS = 256


class VendorApiSettings(Section, key="vendor_api", title="Vendor API", reset_flag="RESET_API"):
    """The HTTP API of an SMS vendor (/sendsms, /getreport, /getbalance, /getsms), for programs written for it."""

    host: str = text(
        title="Listens on address",
        default="0.0.0.0",  # noqa: S104 - an appliance serves its network; the firewall decides who comes in
        pattern=r"[0-9A-Fa-f.:]+",
        shape="an IP address of this device, such as 127.0.0.1",
        help="Address to listen on; 127.0.0.1 keeps the API to the device itself.",
    )
    http_enabled: bool = boolean(
        title="HTTP",
        default=False,
        help="Serve HTTP. These programs put the password into the address, so whoever can listen in the network reads "
        "it: give them accounts of their own, and use HTTPS where they can.",
    )
    http_port: int = integer(default=20003, minimum=1, maximum=65535, help="Port of HTTP.")
    https_enabled: bool = boolean(
        title="HTTPS", default=False, help="Serve HTTPS with the certificate of the device."
    )
    https_port: int = integer(default=20443, minimum=1, maximum=65535, help="Port of HTTPS.")
    most_numbers: int = integer(
        title="Most numbers of a request",
        default=100,
        minimum=1,
        maximum=MOST_NUMBERS,
        help="A request to /sendsms with more numbers is refused. Those whose turn does not come while the caller "
        "waits are told as failed, and are not sent.",
    )
    repeat_s: int = integer(
        title="The same again is a repeat for",
        default=120,
        minimum=0,
        maximum=3600,
        unit="s",
        help="An account that sends the same text to the same number again so soon did not get the first answer: it "
        "gets it now, and nothing is sent twice.",
    )
    requests_per_minute: int = integer(
        title="Requests per minute",
        default=600,
        minimum=0,
        maximum=100_000,
        help="How many requests an account may make, and an address; 0 is no limit.",
    )
    replacements: tuple[str, ...] = listing(
        title="Words to replace",
        default=(),
        item_pattern=r"[^=]{1,100}=.{0,100}",
        item_shape="word=replacement, such as PIN=number",
        help="Whole words that operators block, in any case, and what is sent in their place.",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        if self.http_enabled and self.https_enabled and self.http_port == self.https_port:
            return {"https_port": "is the port of HTTP already"}
        return {}
