"""Messages that wait for whoever can send them, and how those stand."""
