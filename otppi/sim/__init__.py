"""Simulated modems on pseudo-terminals, for trying out and for the tests."""
