import re

from otppi.web import licences
from tests.web.admin_client import AdminClient


def test_version_and_licence_are_told(viewer: AdminClient) -> None:
    page = viewer.get("/about")

    assert page.status == 200
    for text in ("Version of OTP-Pi", "under the licence Apache-2.0", "Jinja2", "Bootstrap", "Swagger UI"):
        assert text in page.visible, text


def test_every_licence_can_be_read(viewer: AdminClient) -> None:
    paths = re.findall(r'href="(/about/licence/[^"]+)"', viewer.get("/about").text)

    assert len(paths) > 20
    for path in paths:
        assert viewer.get(path).status == 200, path
    assert "Apache License" in viewer.get("/about/licence/otppi").visible
    assert "The Bootstrap Authors" in viewer.get("/about/licence/bootstrap").visible


def test_only_licences_are_shown(viewer: AdminClient) -> None:
    for key in ("nothing", "pip", "..%2f..%2fetc%2fpasswd"):
        assert viewer.get(f"/about/licence/{key}").status == 404, key


def test_everything_says_under_which_licence_it_is() -> None:
    components = licences.components()

    assert {"otppi", "bottle", "cryptography", "pika", "bootstrap", "swagger-ui"} <= set(components)
    assert not {"pytest", "ruff"} & set(components), "tools are not on the device"
    assert [one.name for one in components.values() if not (one.licence and one.version)] == []


def test_the_own_licence_comes_first() -> None:
    assert next(iter(licences.components())) == licences.OWN
