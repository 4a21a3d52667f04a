"""How the REST API is reached."""

from otppi.settings.fields import boolean, choice, integer, text
from otppi.settings.section import Section

_PATH = r"/[A-Za-z0-9._~/-]{0,100}"
_PATH_SHAPE = "a path such as /api/otp"


class ApiSettings(Section, key="api", title="REST API", reset_flag="RESET_API"):
    """Ports, paths and limits of the REST API."""

    host: str = text(
        title="Listens on address",
        default="0.0.0.0",  # noqa: S104 - an appliance serves its network; the firewall decides who comes in
        pattern=r"[0-9A-Fa-f.:]+",
        shape="an IP address of this device, such as 127.0.0.1",
        help="Address to listen on; 127.0.0.1 keeps the API to the device itself.",
    )
    http_enabled: bool = boolean(title="HTTP", default=True, help="Serve HTTP.")
    http_port: int = integer(default=8899, minimum=1, maximum=65535, help="Port of HTTP.")
    https_enabled: bool = boolean(
        title="HTTPS", default=True, help="Serve HTTPS with the certificate of the device."
    )
    https_port: int = integer(default=443, minimum=1, maximum=65535, help="Port of HTTPS.")
    otp_path: str = text(
        title="Path for one-time passwords",
        default="/api/otp",
        pattern=_PATH,
        shape=_PATH_SHAPE,
        help="Path for one-time passwords.",
    )
    message_path: str = text(
        title="Path for messages",
        default="/api/message",
        pattern=_PATH,
        shape=_PATH_SHAPE,
        help="Path for messages.",
    )
    sms_path: str = text(
        title="Path for SMS", default="/api/sms", pattern=_PATH, shape=_PATH_SHAPE, help="Path for SMS."
    )
    email_path: str = text(
        title="Path for e-mail",
        default="/api/email",
        pattern=_PATH,
        shape=_PATH_SHAPE,
        help="Path for e-mail.",
    )
    blocking_path: str = text(
        title="Path for blocking",
        default="/api/block",
        pattern=_PATH,
        shape=_PATH_SHAPE,
        help="Path for blocking numbers.",
    )
    unblocking_path: str = text(
        title="Path for unblocking",
        default="/api/unblock",
        pattern=_PATH,
        shape=_PATH_SHAPE,
        help="Path for unblocking numbers.",
    )
    threads: int = integer(
        default=64,
        minimum=20,
        maximum=256,
        help="Threads of the API, at the start of the service; never fewer than two for each modem and 16 more.",
    )
    max_body_bytes: int = integer(
        title="Longest request",
        default=65_536,
        minimum=1_024,
        maximum=1_048_576,
        unit="B",
        help="A longer request is refused.",
    )
    metrics_access: str = choice(
        {"login": "API users", "open": "everybody"},
        default="login",
        title="Who may read the metrics",
        help="Who may read /metrics from other machines: API users, or everybody.",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        if self.http_enabled and self.https_enabled and self.http_port == self.https_port:
            return {"https_port": "is the port of HTTP already"}
        return {}

    @property
    def paths(self) -> tuple[str, ...]:
        """The configured paths; equal ones are fine, any command works on any of them."""
        return (
            self.otp_path,
            self.message_path,
            self.sms_path,
            self.email_path,
            self.blocking_path,
            self.unblocking_path,
        )
