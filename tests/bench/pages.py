"""How long the admin pages take to be made, one after the other."""

import time
from collections.abc import Iterator

from otppi.web.pages.settings import PAGES
from tests.bench.caller import drive, sms
from tests.bench.rig import Rig
from tests.bench.rows import Extent, Measurement, Reading, Readings, RowSpec
from tests.bench.statistics_of import median
from tests.browser.addresses import EMPTY, page_routes
from tests.web.admin_client import AdminClient

_PROGRAM = "tests.bench.on_a_desk"
_LIMIT_S = 60.0
_CALLERS = 8


def _paths() -> Iterator[str]:
    yield from (one.path for one in page_routes() if "<" not in one.path and one.path not in EMPTY)
    yield from (f"/settings/{name}" for name in PAGES)


def _took_ms(owner: AdminClient, path: str) -> float | None:
    began_s = time.monotonic()
    page = owner.get(path)
    took_ms = 1000 * (time.monotonic() - began_s)
    is_page = page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    return took_ms if is_page else None


def _run(extent: Extent) -> Readings:
    times, messages = extent.pick(25, 3), extent.pick(500, 30)
    with Rig(extent, modems=4, program=_PROGRAM) as rig:
        rig.warm_up()
        drive(rig.port, [sms(index) for index in range(messages)], _CALLERS, _LIMIT_S)
        owner = rig.owner()
        # The first page of each kind loads its template and translations; that is once in the life of the service.
        pages = [path for path in _paths() if _took_ms(owner, path) is not None]
        medians = {path: median([_took_ms(owner, path) or 0.0 for _ in range(times)]) for path in pages}
    slowest = max(medians, key=lambda path: medians[path])
    middle = median(list(medians.values()))
    return {
        "pages_ms": Reading(
            medians[slowest], f"{slowest}; {len(pages)} pages, the middle one {middle:.1f} ms"
        )
    }


ADMIN_PAGES = Measurement(
    name="pages",
    rows=(RowSpec(key="pages_ms", title="Slowest admin page, median", unit="ms", at_most=50.0),),
    run=_run,
)
