"""Modems of which no more is known than the standard."""

from otppi.modems.families.family import Family

GENERIC = Family(name="generic")
