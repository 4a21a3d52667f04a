"""Hiding of what logs, metrics and pages must not show."""


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
