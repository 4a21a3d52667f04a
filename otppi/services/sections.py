"""All sections of settings of the product, in the order in which people read them, and what binds them together."""

from collections.abc import Mapping

from otppi.api.settings import ApiSettings
from otppi.gateway.accounts import Administrator, ApiUser
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.otp import OtpSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.model.errors import SettingsError
from otppi.modems.modem import ModemSettings
from otppi.services import firewall_plan
from otppi.settings.section import Section
from otppi.settings.store import Joint, SettingsStore
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import FirewallSettings, OpenPort, refuse_closing
from otppi.system.network import planning
from otppi.system.network.planning import Born
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings
from otppi.system.reset.settings import ResetSettings
from otppi.system.schedule import HousekeepingSettings
from otppi.web.settings import AdminSettings

# Whether addresses fit together does not depend on what the access point is called.
_ANY_BORN = Born(ssid="any", passphrase="of no device")  # noqa: S106


def watch_over(store: SettingsStore) -> None:
    """Refuse what no section can see alone: two listeners on one port, networks that overlap, and the like.

    Whoever writes settings calls this once for its store.
    """
    store.guard_together((ApiSettings, AdminSettings), _refuse_equal_ports)
    store.guard(ModemSettings, lambda _, new: _refuse_shared_ports(new))
    store.guard_together((WlanSettings, DhcpSettings, EthernetSettings, NetworkSettings), _refuse_bad_network)
    store.guard_together(firewall_plan.SECTIONS, _refuse_closed_services)


def _refuse_equal_ports(together: Joint) -> None:
    api, admin = together.get(ApiSettings), together.get(AdminSettings)
    taken = {"http_port": api.http_enabled, "https_port": api.https_enabled}
    for name, is_open in taken.items():
        if is_open and getattr(api, name) == admin.http_port:
            raise SettingsError({f"api.{name}": "is the port of the admin pages (admin.http_port)"})


def _refuse_bad_network(together: Joint) -> None:
    planning.plan(
        together.get(WlanSettings),
        together.get(DhcpSettings),
        together.get(EthernetSettings),
        together.get(NetworkSettings),
        _ANY_BORN,
    )


def _refuse_closed_services(together: Joint) -> None:
    refuse_closing(together.items(OpenPort), firewall_plan.services_in(together))


def _refuse_shared_ports(modems: Mapping[str, ModemSettings]) -> None:
    names: dict[str, str] = {}
    for modem in modems.values():
        if modem.active and modem.device in names:
            raise SettingsError({"modems": f"{names[modem.device]} and {modem.name} have the same port"})
        if modem.active:
            names[modem.device] = modem.name


SECTIONS: tuple[type[Section], ...] = (
    GeneralSettings,
    AdminSettings,
    Administrator,
    ApiSettings,
    ApiUser,
    SmsSettings,
    OtpSettings,
    ModemSettings,
    BlockedNumber,
    NetworkSettings,
    WlanSettings,
    DhcpSettings,
    EthernetSettings,
    FirewallSettings,
    OpenPort,
    ClockSettings,
    BellSettings,
    HousekeepingSettings,
    ResetSettings,
)
