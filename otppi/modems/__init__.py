"""Everything that knows AT commands."""
