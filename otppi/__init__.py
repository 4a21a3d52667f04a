"""OTP-Pi: one-time passwords by SMS from modems of one's own."""

__version__ = "0.1.0"
