"""How much a USB stick must prove before it resets anything."""

from otppi.settings.fields import boolean
from otppi.settings.section import Section


class ResetSettings(Section, key="reset", title="Reset by USB stick"):
    """What a USB stick with the file /otppi/reset-config.ini must hold."""

    needs_secret: bool = boolean(
        title="Only with the set-up secret",
        default=False,
        help="A stick resets only if its file has a line SECRET = the set-up secret of this device. Keep the "
        "secret: without it a forgotten password cannot be reset by a stick any more.",
    )
