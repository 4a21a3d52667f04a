"""Hiding of what logs, metrics and pages must not show."""

import re

_SHORTEST_LOCAL_PART = 3  # shorter ones are parts of words, and tell nobody apart


def masked_digits(digits: str) -> str:
    """Keep what tells the network apart and hide what tells the person apart: `62812•••••34`.

    The first digits (five, or two of a short number) and the last two stay; six characters or fewer are hidden whole.
    """
    if len(digits) <= 6:
        return "•" * len(digits)
    keep = 5 if len(digits) >= 10 else 2
    return digits[:keep] + "•" * (len(digits) - keep - 2) + digits[-2:]


def masked_address(address: str) -> str:
    """Keep what tells the server apart and hide what tells the person apart: `p•••@example.com`.

    How long the hidden part is does not show.
    """
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}" if len(local) > 1 else f"•••@{domain}"


def without_address(text: str, address: str) -> str:
    """Mask an address in what a server said, and what is before its @ where that stands alone: `No mailbox p•••`.

    Args:
        text: What was said.
        address: The whole of it; its letters may be large or small in the text.
    """
    local = address.rpartition("@")[0]
    hidden = re.escape(address)
    if len(local) >= _SHORTEST_LOCAL_PART:
        hidden += rf"|(?<!\w){re.escape(local)}(?!\w)"
    masked = masked_address(address)
    return re.sub(
        hidden,
        lambda found: masked if "@" in found[0] else masked.rpartition("@")[0],
        text,
        flags=re.IGNORECASE,
    )
