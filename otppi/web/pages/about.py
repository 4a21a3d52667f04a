"""What the device is, and under which licences."""

from otppi.web import licences
from otppi.web.site import Response, Visit, get


def show(visit: Visit) -> Response:
    """Show version, machine and licences."""
    components = licences.components()
    return visit.page(
        "about.html",
        title=visit.words("About"),
        vitals=visit.call("device.vitals"),
        own=components.get(licences.OWN),
        others=[one for key, one in components.items() if key != licences.OWN],
        api_docs=_api_docs(visit),
    )


def show_licence(visit: Visit, key: str) -> Response:
    """Show the text of one licence."""
    component = licences.components().get(key)
    if component is None:
        return visit.lost()
    return visit.page(
        "about_licence.html",
        title=visit.words("Licence of {name}", name=component.name),
        component=component,
        texts=licences.texts(component),
    )


def _api_docs(visit: Visit) -> str:
    """Return the address of the manual of the REST API, empty where it is switched off."""
    doors = {door["name"]: door["port"] for door in visit.call("door.list") if not door["problem"]}
    for name, scheme in (("rest", "http"), ("rest-tls", "https")):
        if name in doors:
            return f"{scheme}://{visit.host}:{doors[name]}/docs"
    return ""


ROUTES = (
    get("/about", show),
    get("/about/licence/<key:re:[a-z0-9-]+>", show_licence),
)
