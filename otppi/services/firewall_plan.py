"""What the firewall shall be, put together from the settings of all parts that listen."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.settings.section import Section
from otppi.settings.store import Joint, SettingsStore
from otppi.submission.settings import SubmissionSettings
from otppi.system.firewall.ruleset import Family, Rules, rules
from otppi.system.firewall.services import AccessPoint, Services
from otppi.system.firewall.settings import FirewallSettings, OpenPort
from otppi.system.network.addresses import read_interface
from otppi.system.network.settings import EthernetSettings, WlanSettings
from otppi.web.settings import AdminSettings

PORTAL_PORT = 80

# A change of any of these may change the rules.
SECTIONS: tuple[type[Section], ...] = (
    FirewallSettings,
    OpenPort,
    ApiSettings,
    VendorApiSettings,
    AdminSettings,
    WlanSettings,
    EthernetSettings,
    SubmissionSettings,
)


def services_of(
    api: ApiSettings,
    admin: AdminSettings,
    wlan: WlanSettings,
    ethernet: EthernetSettings,
    vendor: VendorApiSettings,
    smtp: SubmissionSettings,
) -> Services:
    """Return what is to be reached; a service that listens to the device itself needs no open port."""
    admin_ports = ((True, admin.http_port), (admin.https_enabled, admin.https_port))
    api_ports = ((api.http_enabled, api.http_port), (api.https_enabled, api.https_port))
    vendor_ports = ((vendor.http_enabled, vendor.http_port), (vendor.https_enabled, vendor.https_port))
    smtp_ports = ((smtp.active, smtp.server_port),)
    return Services(
        admin_ports=_offered(admin.host, admin_ports),
        api_ports=_offered(api.host, api_ports) + _offered(vendor.host, vendor_ports),
        smtp_ports=_offered(smtp.server_address, smtp_ports),
        access_point=_access_point(wlan) if wlan.enabled else None,
        ethernet=ethernet.interface,
    )


def services_in(store: SettingsStore | Joint) -> Services:
    """Return what is to be reached by the present settings."""
    return services_of(
        store.get(ApiSettings),
        store.get(AdminSettings),
        store.get(WlanSettings),
        store.get(EthernetSettings),
        store.get(VendorApiSettings),
        store.get(SubmissionSettings),
    )


def wanted_rules(store: SettingsStore) -> Mapping[Family, Rules]:
    """Return the rules of both families by the present settings."""
    settings, ports, services = store.get(FirewallSettings), store.items(OpenPort), services_in(store)
    return {4: rules(4, settings, ports, services), 6: rules(6, settings, ports, services)}


def _access_point(wlan: WlanSettings) -> AccessPoint:
    return AccessPoint(
        interface=wlan.interface,
        address=read_interface(wlan.address).ip,
        portal_port=PORTAL_PORT,
        forwards=wlan.forwarding,
    )


def _offered(host: str, ports: Iterable[tuple[bool, int]]) -> tuple[int, ...]:
    return tuple(port for is_on, port in ports if is_on and _is_offered(host))


def _is_offered(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True
