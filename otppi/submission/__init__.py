"""The local SMTP server, by which applications hand over e-mail (message submission, RFC 6409)."""
