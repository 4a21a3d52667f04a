"""How the admin pages are reached."""

from otppi.settings.fields import integer, text
from otppi.settings.section import Section


class AdminSettings(Section, key="admin", title="Admin pages", reset_flag="RESET_API"):
    """Address and port of the admin pages; reset with those of the API, as neither may take the other's port."""

    host: str = text(
        default="0.0.0.0",  # noqa: S104 - an appliance serves its network; the firewall decides who comes in
        pattern=r"[0-9A-Fa-f.:]+",
        shape="an IP address of this device, such as 127.0.0.1",
        help="Address to listen on; 127.0.0.1 keeps the pages to the device itself.",
    )
    http_port: int = integer(default=8888, minimum=1, maximum=65535, help="Port of HTTP.")
