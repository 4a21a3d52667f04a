"""E-mail accounts: what is written, and how it reaches a server."""
