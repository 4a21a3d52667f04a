"""All sections of settings of the product, in the order in which people read them, and what binds them together."""

from collections.abc import Mapping

from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.brokers.kinds import KINDS
from otppi.ddns import settings as ddns
from otppi.gateway import balance
from otppi.gateway.accounts import Administrator, ApiUser, refuse_without_owner
from otppi.gateway.admin_tokens import AdminToken
from otppi.gateway.blocklist import BlockedNumber
from otppi.gateway.inbox import InboxSettings
from otppi.gateway.otp import OtpSettings
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.gateway.reports import ReportSettings
from otppi.gateway.sent import SentSettings
from otppi.gateway.vendor_accounts import VendorAccount
from otppi.mail.settings import EmailAccountSettings, EmailSettings
from otppi.model.errors import SettingsError
from otppi.modems.settings import ModemSettings
from otppi.services import firewall_plan
from otppi.settings.section import Section
from otppi.settings.store import Joint, SettingsStore
from otppi.submission.settings import SubmissionSettings
from otppi.system.buzzer.settings import BellSettings
from otppi.system.clock.settings import ClockSettings
from otppi.system.firewall.settings import FirewallSettings, OpenPort, refuse_closing
from otppi.system.network import planning
from otppi.system.network.planning import Born
from otppi.system.network.settings import DhcpSettings, EthernetSettings, NetworkSettings, WlanSettings
from otppi.system.reset.settings import ResetSettings
from otppi.system.schedule import HousekeepingSettings
from otppi.vendors.settings import VendorRouteSettings
from otppi.web.settings import AdminSettings

# Whether addresses fit together does not depend on what the access point is called.
_ANY_BORN = Born(ssid="any", passphrase="of no device")  # noqa: S106


def watch_over(store: SettingsStore) -> None:
    """Refuse what no section can see alone: two listeners on one port, networks that overlap, and the like.

    Whoever writes settings calls this once for its store.
    """
    store.guard_together((ApiSettings, AdminSettings), _refuse_equal_ports)
    store.guard_together((VendorApiSettings, ApiSettings, AdminSettings), _refuse_ports_of_others)
    store.guard_together(
        (SubmissionSettings, VendorApiSettings, ApiSettings, AdminSettings), _refuse_smtp_port_of_others
    )
    store.guard(ModemSettings, lambda _, new: _refuse_shared_ports(new))
    store.guard(ModemSettings, lambda _, new: _refuse_unreadable_balances(new))
    store.guard_together((ModemSettings, VendorRouteSettings, EmailAccountSettings), _refuse_shared_names)
    store.guard_together((WlanSettings, DhcpSettings, EthernetSettings, NetworkSettings), refuse_bad_network)
    store.guard(ddns.DdnsRecord, lambda _, new: refuse_shared_hosts(new))
    store.guard(Administrator, refuse_without_owner)
    store.guard_together(firewall_plan.SECTIONS, _refuse_closed_services)


def _refuse_equal_ports(together: Joint) -> None:
    api, admin = together.get(ApiSettings), together.get(AdminSettings)
    of_pages = {"http_port": True, "https_port": admin.https_enabled}
    of_api = {"http_port": api.http_enabled, "https_port": api.https_enabled}
    for mine, is_open in of_api.items():
        for theirs, is_theirs_open in of_pages.items():
            if is_open and is_theirs_open and getattr(api, mine) == getattr(admin, theirs):
                raise SettingsError({f"api.{mine}": "is the port of the admin pages"})


def _refuse_ports_of_others(together: Joint) -> None:
    """Keep the vendor API from the ports of the other web servers."""
    vendor, taken = together.get(VendorApiSettings), _ports_of_web(together)
    for name, is_open in (("http_port", vendor.http_enabled), ("https_port", vendor.https_enabled)):
        if is_open and (reason := taken.get(getattr(vendor, name))):
            raise SettingsError({f"vendor_api.{name}": reason})


def _refuse_smtp_port_of_others(together: Joint) -> None:
    """Keep the local SMTP server from the ports of the web servers."""
    smtp, vendor, taken = (
        together.get(SubmissionSettings),
        together.get(VendorApiSettings),
        _ports_of_web(together),
    )
    of_vendor = "is the port of the vendor API"
    taken |= {vendor.http_port: of_vendor} if vendor.http_enabled else {}
    taken |= {vendor.https_port: of_vendor} if vendor.https_enabled else {}
    if smtp.active and (reason := taken.get(smtp.server_port)):
        raise SettingsError({f"{SubmissionSettings.key}.server_port": reason})


def _ports_of_web(together: Joint) -> dict[int, str]:
    """Return the ports of the admin pages and of the REST API, with what is said of whoever wants them too."""
    api, admin = together.get(ApiSettings), together.get(AdminSettings)
    of_pages, of_api = "is the port of the admin pages", "is the port of the REST API"
    taken = {admin.http_port: of_pages}
    taken |= {admin.https_port: of_pages} if admin.https_enabled else {}
    taken |= {api.http_port: of_api} if api.http_enabled else {}
    taken |= {api.https_port: of_api} if api.https_enabled else {}
    return taken


def refuse_bad_network(together: Joint) -> None:
    """Refuse networks that overlap, and addresses that are not in theirs.

    Raises:
        SettingsError: Says what does not fit.
    """
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
    taken: dict[str, ModemSettings] = {}
    for modem in modems.values():
        if not modem.active or not modem.port:
            continue
        other = taken.setdefault(modem.device, modem)
        # Those that are known by IMEI are found wherever they are, and a port may be where one was.
        if other is not modem and not (modem.imei and other.imei and modem.imei != other.imei):
            raise SettingsError({"modems": f"{other.name} and {modem.name} have the same port"})


def _refuse_unreadable_balances(modems: Mapping[str, ModemSettings]) -> None:
    for modem_id, modem in modems.items():
        wrong = {
            "balance_ussd": balance.check_steps(modem.balance_ussd),
            "balance_pattern": balance.check_pattern(modem.balance_pattern),
        }
        if errors := {f"modems.{modem_id}.{name}": reason for name, reason in wrong.items() if reason}:
            raise SettingsError(errors)


def _refuse_shared_names(together: Joint) -> None:
    """Messages, prices and reports call a vendor's account by its id or name, as they call modems."""
    taken = {name for key, one in together.items(ModemSettings).items() for name in (key, one.name)}
    for route_id, route in together.items(VendorRouteSettings).items():
        if taken & {route_id, route.name}:
            reason = "another account or a modem has this name"
            raise SettingsError({f"vendor_routes.{route_id}.name": reason})
        taken |= {route_id, route.name}
    for account_id, account in together.items(EmailAccountSettings).items():
        if taken & {account_id, account.name}:
            reason = "another account or a modem has this name"
            raise SettingsError({f"email_accounts.{account_id}.name": reason})
        taken |= {account_id, account.name}


def refuse_shared_hosts(records: Mapping[str, ddns.DdnsRecord]) -> None:
    """Refuse names that two records keep: each would say what the other does not.

    Raises:
        SettingsError: Says which.
    """
    taken: dict[str, list[ddns.DdnsRecord]] = {}
    for record_id, record in records.items():
        if not record.active:
            continue
        others = taken.setdefault(record.host, [])
        for other in others:
            if other.type == record.type:
                raise SettingsError({f"ddns.{record_id}.record_name": "another record keeps this name"})
            for one in (record, other):
                # Told of one kind of address, the vendor deletes the other; see help.dyn.com/perform-update.
                if one.provider == ddns.DYNDNS2:
                    reason = "another record keeps this name, and at this vendor A and AAAA delete each other"
                    raise SettingsError({f"ddns.{record_id}.type": reason})
                if one.provider == ddns.AFRAID and not one.token:
                    reason = (
                        "another record keeps this name; without update tokens A and AAAA delete each other"
                    )
                    raise SettingsError({f"ddns.{record_id}.type": reason})
        others.append(record)


SECTIONS: tuple[type[Section], ...] = (
    GeneralSettings,
    AdminSettings,
    Administrator,
    AdminToken,
    ApiSettings,
    ApiUser,
    VendorApiSettings,
    VendorAccount,
    SmsSettings,
    OtpSettings,
    InboxSettings,
    ReportSettings,
    SentSettings,
    ModemSettings,
    VendorRouteSettings,
    EmailSettings,
    EmailAccountSettings,
    SubmissionSettings,
    *(kind.section for kind in KINDS),
    BlockedNumber,
    NetworkSettings,
    WlanSettings,
    DhcpSettings,
    EthernetSettings,
    FirewallSettings,
    OpenPort,
    ddns.DdnsRecord,
    *ddns.VENDORS,
    ddns.PublicAddressSettings,
    ClockSettings,
    BellSettings,
    HousekeepingSettings,
    ResetSettings,
)
