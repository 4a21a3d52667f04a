"""Mobile internet through a modem and pppd."""
