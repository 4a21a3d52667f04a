"""The certificate of HTTPS: what it is, putting one's own in its place, and going back."""

from base64 import b64encode

from otppi.model.errors import OtpPiError
from otppi.web.site import Response, Visit, get, post


def show(visit: Visit) -> Response:
    """Show the certificate that is in use."""
    return _drawn(visit)


def put(visit: Visit) -> Response:
    """Use an own certificate from now on."""
    files = [
        content
        for _, content in (visit.file("certificate"), visit.file("key"), visit.file("chain"))
        if content
    ]
    documents = [b64encode(one).decode("ascii") for one in files]
    try:
        visit.call("certificate.put", documents=documents, password=visit.form("password"))
    except OtpPiError as error:
        return _drawn(visit, error)
    return visit.redirect(
        "/certificate", visit.words("Your certificate is in use; reload encrypted pages to see it.")
    )


def renew(visit: Visit) -> Response:
    """Make a new self-signed certificate."""
    visit.call("certificate.renew")
    text = visit.words(
        "There is a new certificate with a new key. Browsers and programs ask anew whether to trust it."
    )
    return visit.redirect("/certificate", text)


def drop(visit: Visit) -> Response:
    """Go back to the self-signed one."""
    visit.call("certificate.drop")
    text = visit.words("Your certificate and its key are gone; the device's own is in use again.")
    return visit.redirect("/certificate", text)


def download(visit: Visit) -> Response:
    """Give the certificate, without its key, to whoever wants to trust it."""
    body = visit.call("certificate.pem").encode("ascii")
    return visit.download("otp-pi.crt", "application/x-x509-ca-cert", body)


def _drawn(visit: Visit, error: OtpPiError | None = None) -> Response:
    shown, problem = None, ""
    try:
        shown = visit.call("certificate.show")
    except OtpPiError as unknown:
        problem = visit.error_text(unknown)
    return visit.page(
        "certificate.html",
        status=200 if error is None else error.status,
        title=visit.words("Certificate"),
        shown=shown,
        problem=problem,
        errors=visit.field_errors(error) if error is not None else {},
    )


ROUTES = (
    get("/certificate", show),
    post("/certificate", put),
    post("/certificate/renew", renew),
    post("/certificate/drop", drop),
    get("/certificate/otp-pi.crt", download),
)
