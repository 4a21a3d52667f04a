"""The time of the device: zone, NTP, real-time clock, trust."""
