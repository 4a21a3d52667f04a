"""Accounts at SMS vendors, which send for us over HTTP: beside the SIMs, or where no modem can."""
