"""Why a vendor did not do what it was asked, and what follows for its account."""

from otppi.model.errors import DeviceError
from otppi.work.standing import Hold


class VendorTrouble(DeviceError):
    """A vendor did not do what it was asked; the message says why, and holds nothing of what was sent.

    Attributes:
        hold: What follows for the account.
        may_have_left: Whether the vendor may have done it all the same.
        passes_soon: Whether the same may go well in a moment.
    """

    code = "1102"
    status = 503

    def __init__(
        self, reason: str, hold: Hold, *, may_have_left: bool = False, passes_soon: bool = False
    ) -> None:
        super().__init__(reason)
        self.hold = hold
        self.may_have_left = may_have_left
        self.passes_soon = passes_soon


class NothingThere(VendorTrouble):
    """The vendor's server knows nothing of a function, and perhaps of that one alone."""
