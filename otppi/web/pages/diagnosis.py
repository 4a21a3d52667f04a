"""The diagnosis: everything that the device finds of itself, with advice."""

from collections import Counter

from otppi.web import diagnosis_words
from otppi.web.site import Response, Visit, get


def show(visit: Visit) -> Response:
    """Run all checks and show them."""
    lines = diagnosis_words.lines(visit)
    counts = Counter(line.level for line in lines)
    return visit.page(
        "diagnosis.html",
        title=visit.words("Diagnosis"),
        levels=diagnosis_words.LEVELS,
        lines=lines,
        reds=counts["red"],
        yellows=counts["yellow"],
        greens=counts["green"],
    )


ROUTES = (get("/diagnosis", show),)
