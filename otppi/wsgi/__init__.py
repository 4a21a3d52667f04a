"""What the web parts share: the server, credentials, errors as HTTP."""
