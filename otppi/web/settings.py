"""How the admin pages are reached."""

from otppi.settings.fields import boolean, integer, listing, text
from otppi.settings.section import Section


class AdminSettings(Section, key="admin", title="Admin pages", reset_flag="RESET_API"):
    """Address and ports of the admin pages. A USB stick resets them together with those of the API."""

    host: str = text(
        title="Listens on address",
        default="0.0.0.0",  # noqa: S104 - an appliance serves its network; the firewall decides who comes in
        pattern=r"[0-9A-Fa-f.:]+",
        shape="an IP address of this device, such as 127.0.0.1",
        help="Address to listen on; 127.0.0.1 keeps the pages to the device itself.",
    )
    http_port: int = integer(default=8888, minimum=1, maximum=65535, help="Port of HTTP.")
    https_enabled: bool = boolean(
        title="HTTPS", default=True, help="Serve HTTPS with the certificate of the device, beside HTTP."
    )
    https_port: int = integer(default=8443, minimum=1, maximum=65535, help="Port of HTTPS.")
    names: tuple[str, ...] = listing(
        title="Further host names",
        default=(),
        item_pattern=r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?",
        item_shape="a host name such as otp.example.com",
        help="Further names by which the pages are opened, beside its addresses and NAME.local. Pages that are asked "
        "for by another name are not shown, so that no other site can speak with the device.",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        if self.https_enabled and self.http_port == self.https_port:
            return {"https_port": "is the port of HTTP already"}
        return {}
