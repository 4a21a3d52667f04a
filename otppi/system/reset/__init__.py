"""Factory reset by a USB stick."""
