"""Doors to message brokers: what is published there is worked on like a request, and answered there."""
