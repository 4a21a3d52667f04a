"""Who may call which function of the device, from a page or over the admin API."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What an administrator may do; each includes those before it."""

    VIEWER = "viewer"  # sees how the device is, never a text or a whole number
    OPERATOR = "operator"  # sends, reads the inbox, dials, looks after modems
    OWNER = "owner"  # changes settings

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, kw_only=True)
class Right:
    """How one function may be called.

    Attributes:
        role: The least role that may.
        changes: Whether something is different afterwards; such calls are noted in the audit trail and need more
            than a link.
        hidden: Arguments whose values are noted nowhere.
        is_slow: Whether it waits for a modem, the network or other services; few of these run at once.
    """

    role: Role
    changes: bool = True
    hidden: frozenset[str] = frozenset()
    is_slow: bool = False


def _sees(role: Role = Role.VIEWER) -> Right:
    return Right(role=role, changes=False)


def _does(role: Role, *hidden: str) -> Right:
    return Right(role=role, hidden=frozenset(hidden))


def _slowly(right: Right) -> Right:
    return replace(right, is_slow=True)


RIGHTS: Mapping[str, Right] = MappingProxyType(
    {
        "account.list": _sees(Role.OWNER),
        "admin.disable_totp": _does(Role.OWNER),
        "admin.list": _sees(Role.OWNER),
        "admin.put": _does(Role.OWNER, "password", "own_password"),
        "admin.remove": _does(Role.OWNER),
        "api_user.add": _does(Role.OWNER, "password"),
        "api_user.put": _does(Role.OWNER),
        "api_user.used": _sees(Role.OWNER),
        "audit.list": _sees(Role.OWNER),
        "backup.make": _does(Role.OWNER, "passphrase"),
        "backup.read": _sees(Role.OWNER),
        "backup.restore": _does(Role.OWNER, "passphrase", "content"),
        "balance.ask": _slowly(_does(Role.OPERATOR)),
        "balance.list": _sees(),
        "bell.show": _sees(),
        "bell.stop": _does(Role.OPERATOR),
        "bell.test": _does(Role.OPERATOR),
        "broker.list": _sees(),
        "broker.reconnect": _does(Role.OPERATOR),
        "broker.test": _slowly(_does(Role.OPERATOR)),
        "certificate.drop": _does(Role.OWNER),
        "certificate.pem": _sees(),
        "certificate.put": _slowly(_does(Role.OWNER, "documents", "password")),
        "certificate.renew": _does(Role.OWNER),
        "certificate.show": _sees(),
        "clock.set": _does(Role.OWNER),
        "clock.show": _sees(),
        "clock.zones": _sees(),
        "cost": _sees(),
        "device.history": _sees(),
        "device.vitals": _sees(),
        "devices.list": _sees(),
        "diagnose": _slowly(_sees()),
        "door.list": _sees(),
        "ddns.list": _sees(),
        "ddns.update": _slowly(_does(Role.OPERATOR)),
        "email_account.list": _sees(),
        "email_account.presets": _sees(Role.OWNER),
        "email_account.test": _slowly(_does(Role.OPERATOR, "address")),
        "firewall.show": _sees(),
        "inbox.delete": _does(Role.OPERATOR),
        "inbox.list": _sees(Role.OPERATOR),
        "inbox.mark": _does(Role.OPERATOR),
        "inbox.reply": _slowly(_does(Role.OPERATOR, "text")),
        "inbox.show": _sees(Role.OPERATOR),
        "job.list": _sees(),
        "job.show": _sees(Role.OPERATOR),
        "log.journal": _sees(Role.OWNER),
        "log.list": _sees(Role.OWNER),
        "log.text": _sees(Role.OWNER),
        "log.units": _sees(Role.OWNER),
        "mobile.redial": _slowly(_does(Role.OPERATOR)),
        "modem.add": _does(Role.OWNER),
        "modem.apn": _does(Role.OWNER),
        "modem.found": _sees(),
        "modem.list": _sees(),
        "modem.look": _does(Role.OPERATOR),
        "modem.price": _does(Role.OWNER),
        "modem.put": _does(Role.OWNER),
        "modem.test": _does(Role.OPERATOR),
        "modem.use": _does(Role.OWNER),
        "network.outcome": _sees(),
        "network.show": _sees(),
        "network.trial": _sees(Role.OWNER),
        "number.block": _does(Role.OPERATOR),
        "number.block_all": _does(Role.OPERATOR, "numbers"),
        "number.list": _sees(Role.OPERATOR),
        "number.remove": _does(Role.OPERATOR),
        "old_device.apply": _does(Role.OWNER, "content"),
        "old_device.read": _sees(Role.OWNER),
        "own.begin_totp": _sees(),
        "own.close_session": _does(Role.VIEWER),
        "own.disable_totp": _does(Role.VIEWER, "password"),
        "own.enable_totp": _does(Role.VIEWER, "secret", "code", "password"),
        "own.password": _does(Role.VIEWER, "password", "new_password"),
        "own.put": _does(Role.VIEWER),
        "own.sessions": _sees(),
        "own.show": _sees(),
        "port.add": _does(Role.OWNER),
        "port.listening": _sees(Role.OWNER),
        "power.off": _does(Role.OWNER),
        "power.reboot": _does(Role.OWNER),
        "power.restart-service": _does(Role.OWNER),
        "report.delete_before": _does(Role.OWNER),
        "report.list": _sees(),
        "report.summary": _sees(),
        "reset.apply": _does(Role.OWNER),
        "reset.list": _sees(Role.OWNER),
        "reset.report": _sees(Role.OWNER),
        "route": _sees(Role.OPERATOR),
        "send": _slowly(_does(Role.OPERATOR, "text", "subject")),
        "session.close": _does(Role.OWNER),
        "session.list": _sees(Role.OWNER),
        "settings.check": _sees(Role.OWNER),
        "settings.describe": _sees(),
        "settings.export": _does(Role.OWNER, "passphrase"),
        "settings.get": _sees(Role.OWNER),
        "settings.import": _does(Role.OWNER, "document", "passphrase"),
        "settings.put": _does(Role.OWNER),
        "settings.remove": _does(Role.OWNER),
        "settings.reset": _does(Role.OWNER),
        "settings.set": _does(Role.OWNER),
        "sim.center": _slowly(_does(Role.OWNER)),
        "sim.imei": _slowly(_does(Role.OWNER)),
        "sim.operator": _slowly(_does(Role.OWNER)),
        "sim.operators": _slowly(_does(Role.OPERATOR)),
        "sim.pin.change": _slowly(_does(Role.OWNER, "pin", "new_pin")),
        "sim.pin.enter": _slowly(_does(Role.OPERATOR, "pin")),
        "sim.pin.remove": _slowly(_does(Role.OWNER, "pin")),
        "sim.pin.set": _slowly(_does(Role.OWNER, "pin")),
        "sim.register": _does(Role.OWNER),
        "sim.scan": _does(Role.OPERATOR),
        "sim.show": _slowly(_sees(Role.OPERATOR)),
        "sim.unblock": _slowly(_does(Role.OWNER, "puk", "new_pin")),
        "smtp.show": _sees(),
        "token.list": _sees(Role.OWNER),
        "token.make": _does(Role.OWNER, "password"),
        "token.remove": _does(Role.OWNER),
        "traffic.recent": _sees(),
        "ussd": _slowly(_does(Role.OPERATOR, "code")),
        "ussd.cancel": _slowly(_does(Role.OPERATOR)),
        "vendor_account.list": _sees(Role.OWNER),
        "vendor_route.list": _sees(),
        "vendor_route.put": _does(Role.OWNER),
        "vendor_route.test": _slowly(_does(Role.OPERATOR)),
    }
)
