"""Which ports of the device are open, by iptables."""
