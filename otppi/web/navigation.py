"""The menu of the pages."""

from dataclasses import dataclass

from otppi.web.words import N_


@dataclass(frozen=True)
class Entry:
    """One line of the menu."""

    title: str
    path: str
    icon: str  # a symbol of /static/vendor/icons.svg
    needs: str = ""  # the function without which the page is of no use


GROUPS: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry(N_("Overview"), "/", "house"),
            Entry(N_("Monitor"), "/monitor", "activity"),
        ),
    ),
    (
        N_("Messages"),
        (
            Entry(N_("Send SMS"), "/send", "send", "send"),
            Entry(N_("Inbox"), "/inbox", "inbox", "inbox.list"),
            Entry(N_("Reports"), "/reports", "card-list", "report.list"),
            Entry(N_("USSD"), "/ussd", "telephone", "ussd"),
            Entry(N_("Block list"), "/blocklist", "slash-circle", "number.block"),
        ),
    ),
    (
        N_("Modems and API"),
        (
            Entry(N_("Modems"), "/modems", "modem", "modem.list"),
            Entry(N_("SMS vendors"), "/vendors", "globe2", "vendor_route.list"),
            Entry(N_("E-mail"), "/email", "envelope", "email_account.list"),
            Entry(N_("Local SMTP server"), "/smtp", "mailbox", "smtp.show"),
            Entry(N_("Costs"), "/costs", "cash-coin", "cost"),
            Entry(N_("API users"), "/api-users", "key", "api_user.put"),
            Entry(N_("Vendor API"), "/vendor-accounts", "plug", "vendor_account.list"),
            Entry(N_("Message brokers"), "/brokers", "hdd-network", "broker.list"),
            Entry(N_("API settings"), "/settings/api", "code-slash", "settings.set"),
            Entry(N_("Messages and codes"), "/settings/messages", "chat-left-text", "settings.set"),
        ),
    ),
    (
        N_("Device"),
        (
            Entry(N_("Network"), "/network", "ethernet", "network.show"),
            Entry(N_("Firewall"), "/firewall", "shield-check", "settings.set"),
            Entry(N_("Dynamic DNS"), "/ddns", "signpost-split", "ddns.list"),
            Entry(N_("Certificate"), "/certificate", "patch-check", "certificate.show"),
            Entry(N_("Date and time"), "/clock", "clock", "settings.set"),
            Entry(N_("Buzzer"), "/bell", "bell", "bell.test"),
            Entry(N_("General"), "/settings/general", "sliders", "settings.set"),
        ),
    ),
    (
        N_("Administration"),
        (
            Entry(N_("Administrators"), "/administrators", "people", "admin.list"),
            Entry(N_("Audit trail"), "/audit", "eye", "audit.list"),
            Entry(N_("Diagnosis"), "/diagnosis", "speedometer2", "diagnose"),
            Entry(N_("Logs"), "/logs", "journal-text", "log.list"),
            Entry(N_("Backup"), "/backup", "archive", "backup.make"),
            Entry(N_("Restart and reset"), "/power", "power", "power.reboot"),
            Entry(N_("About"), "/about", "info-circle"),
        ),
    ),
)
