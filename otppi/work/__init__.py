"""Messages that wait for whoever can send them: modems, and accounts at vendors."""
