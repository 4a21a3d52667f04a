"""What the numbers mean that vendors answer as `status`."""

from collections.abc import Mapping
from types import MappingProxyType

from otppi.vendors.trouble import VendorTrouble
from otppi.work.standing import Hold

DONE = 0

_OF_THE_MESSAGE: Mapping[int, str] = MappingProxyType(
    {
        -3: "the vendor does not let words of the text through",
        -4: "the vendor says that the text is empty",
        -5: "the text is too long for the vendor",
        -6: "the text fits no template that the vendor has approved",
        -7: "the vendor says that there are too many numbers",
        -8: "the vendor says that there is no number",
        -9: "the vendor does not take this number",
        -11: "the vendor does not understand the time",
        -14: "the vendor misses a field",
        -17: "the vendor misses a template",
        -21: "the vendor does not take a field",
        -22: "the vendor does not take a field",
        -24: "the vendor does not find what it needs",
        -25: "the vendor finds it outside of its hours",
        -28: "this number has got as much as the vendor lets through",
        # Vendors use this one for either.
        -29: "the vendor does not let words of the text through, or has switched this use off",
    }
)
_SOON: Mapping[int, str] = MappingProxyType(
    {
        -12: "the vendor has trouble of its own",
        -15: "the vendor is asked too often",
        -16: "the vendor finds the time of this device wrong; check the clock",
        -18: "the vendor has trouble of its own",
    }
)
_LATER: Mapping[int, str] = MappingProxyType(
    {
        -10: "no credit is left at the vendor",
        -13: "the vendor has locked the account",
        -19: "no price is agreed with the vendor",
        -23: "the account has sent as much as it may",
        -26: "the vendor cannot charge the account",
        -27: "the account has sent as much as it may",
    }
)
_FOR_A_PERSON: Mapping[int, str] = MappingProxyType(
    {
        -1: "the vendor refuses the account or its password",
        -2: "the vendor does not let the address of this device in",
        -30: "the key is switched off at the vendor",
        -31: "the vendor does not let the address of this device in",
        -32: "the key may not do this at the vendor",
    }
)


def trouble_of(status: int) -> VendorTrouble:
    """Return what a status other than `DONE` says; one that is not documented leaves open what became of it."""
    if (reason := _OF_THE_MESSAGE.get(status)) is not None:
        return VendorTrouble(reason, Hold.NO)
    if (reason := _SOON.get(status)) is not None:
        return VendorTrouble(reason, Hold.MOMENT, passes_soon=True)
    if (reason := _LATER.get(status)) is not None:
        return VendorTrouble(reason, Hold.WHILE)
    if (reason := _FOR_A_PERSON.get(status)) is not None:
        return VendorTrouble(reason, Hold.PERSON)
    return VendorTrouble(f"the vendor answered with status {status}", Hold.MOMENT, may_have_left=True)
