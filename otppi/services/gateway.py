"""The composition root of the gateway: builds every part from the settings, starts and stops them in order."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bottle

import otppi
from otppi.api.docs import ApiDocs
from otppi.api.rest import THREADS_KEPT_FREE, RestApi
from otppi.api.settings import ApiSettings
from otppi.api.vendor_settings import VendorApiSettings
from otppi.contracts.mail import Relayed
from otppi.gateway import diagnosis, router
from otppi.gateway.accounts import Administrator, ApiAccounts
from otppi.gateway.blocklist import BlockList
from otppi.gateway.commands import Commands
from otppi.gateway.delivery import Delivery
from otppi.gateway.dispatcher import Dispatcher
from otppi.gateway.door import Door
from otppi.gateway.inbox import Inbox, InboxSettings
from otppi.gateway.journal import Journal
from otppi.gateway.ledger import Ledger, Parcel
from otppi.gateway.limits import RateLimits
from otppi.gateway.mailing import Mailing
from otppi.gateway.otp import OtpSettings, OtpStore
from otppi.gateway.policy import GeneralSettings, SmsSettings
from otppi.gateway.repeats import Repeats
from otppi.gateway.reports import Reports, ReportSettings
from otppi.gateway.sent import SentMessages, SentSettings
from otppi.gateway.traffic import Traffic
from otppi.lib.bus import Bus
from otppi.lib.clock import Clock, SystemClock
from otppi.lib.keyfile import device_key
from otppi.mail.accounts import MailAccounts
from otppi.mail.direct import Direct
from otppi.mail.settings import EmailAccountSettings, EmailSettings
from otppi.model.checks import Check, Level
from otppi.model.errors import BadRequest, DeliveryError
from otppi.model.events import (
    Channel,
    DeliveryReported,
    MessageFinished,
    ModemLearned,
    RequestAnswered,
    SettingsChanged,
    SmsReceived,
)
from otppi.model.mail import MailState
from otppi.model.number import parse_number
from otppi.model.requests import Origin
from otppi.model.results import MailReceipt
from otppi.modems.pool import ModemPool
from otppi.modems.refused_pins import RefusedPins
from otppi.modems.sending import Limits
from otppi.modems.settings import ModemSettings
from otppi.modems.whereabouts import Whereabouts
from otppi.services.admin_site import AdminSite, on_this_machine
from otppi.services.administration import Administration
from otppi.services.backup import Backup
from otppi.services.balance import Balances
from otppi.services.certificates import Certificates
from otppi.services.control import ControlServer
from otppi.services.correspondence import Correspondence
from otppi.services.ddns import Ddns
from otppi.services.ending import Ending
from otppi.services.firewall_plan import PORTAL_PORT
from otppi.services.folders import StateFolder
from otppi.services.found_modems import FoundModems, learn
from otppi.services.health import BusProbe, Probe, WebDoor, WebProbe, nobody_died, readable
from otppi.services.jobs import Jobs
from otppi.services.listeners import Listeners, Plan
from otppi.services.logs import Logs
from otppi.services.mail_desk import MailDesk
from otppi.services.metrics import Metrics
from otppi.services.network_before import SettingsBefore
from otppi.services.old_device.takeover import OldDevice
from otppi.services.sections import SECTIONS, watch_over
from otppi.services.sent_report import SentReport
from otppi.services.sim_tools import SimTools
from otppi.services.smtp_server import SmtpServer, server_name
from otppi.services.subscribers import Subscribers
from otppi.services.vendor_door import VendorDoor
from otppi.services.vendor_routes import Senders, VendorDesk
from otppi.services.vitals import VitalSigns
from otppi.services.whole_change import ChangeBefore
from otppi.settings.store import SettingsStore
from otppi.submission.settings import DIRECTLY, SubmissionSettings
from otppi.system import storage
from otppi.system.network.addresses import read_interface
from otppi.system.network.settings import EthernetSettings, NetworkSettings, WlanSettings
from otppi.vendors.routes import VendorRoutes
from otppi.vendors.settings import VendorRouteSettings
from otppi.web import admin_api
from otppi.web.portal import Portal
from otppi.web.settings import AdminSettings
from otppi.web.timeoffer import TimeOffer
from otppi.web.uploads import Uploads
from otppi.work.queue import WorkQueue
from otppi.wsgi.observability import Observability
from otppi.wsgi.tls import CannotMakeCertificate

if TYPE_CHECKING:
    from otppi.services.appliance import Appliance, Host

log = logging.getLogger(__name__)

_ADMIN_THREADS = 6
_ADMIN_BODY_BYTES = 128 * 1024
_OWNER_BODY_BYTES = 24 * 1024 * 1024  # a backup with all messages, in a form
_PORTAL, _PORTAL_THREADS = "portal", 2
_LISTENING = frozenset(
    section.key
    for section in (
        ApiSettings,
        VendorApiSettings,
        AdminSettings,
        WlanSettings,
        EthernetSettings,
        NetworkSettings,
    )
)
_LOG_LAG_S = 0.1
_CODE_LIFE_S = 600
_CODE_SUBJECT, _CODE_PATIENCE_S = "OTP-Pi", 30
_GRACE_S = 2.0  # for an answer on its way when its caller's wait ends


class Gateway:
    """A whole gateway in one process, on one state folder."""

    def __init__(
        self,
        state: StateFolder,
        runtime_dir: Path | None,
        *,
        clock: Clock | None = None,
        host: "Callable[[SettingsStore], Host] | None" = None,
        ending: Ending | None = None,
    ) -> None:
        """Build every part; nothing listens and no port is opened yet. The caller holds the folder's lock.

        Args:
            state: Settings and keys.
            runtime_dir: What a restart keeps and a power cut forgets; None if there is no such folder.
            clock: The clock, if it is not simply that of the machine.
            host: Makes the host that is looked after as well; without it the machine is left alone.
            ending: How the service is brought to its end, to be started anew or for a restart of the board.
        """
        self._clock = clock = clock or SystemClock()
        self._state = state
        self.bus = Bus()
        for before in (ChangeBefore(state), *([SettingsBefore(state)] if host is not None else [])):
            try:
                before.put_back()
            except OSError as error:
                # Better the wrong network than no messages.
                fields = {"reason": error.strerror}
                log.error("old settings could not be brought back", extra={"fields": fields})  # noqa: TRY400
        self.store = store = SettingsStore(state.path, SECTIONS, self.bus)
        watch_over(store)
        self._stopping = False
        self._health_checks: Callable[[], Iterable[Check]] = lambda: ()
        key = device_key(state.keys / "device.key")
        self._journal = Journal(runtime_dir, clock)
        self._inbox = Inbox(state.inbox, lambda: store.get(InboxSettings), self.bus, clock)
        self._sent = SentMessages(state.reports, lambda: store.get(SentSettings), clock)
        self._traffic = Traffic(clock)
        self.sent_report = SentReport(self._sent, self._traffic, clock, state.reports)
        reports = Reports(lambda: store.get(ReportSettings), key, clock, self._journal, self.bus)
        whereabouts = Whereabouts()
        refused_pins = RefusedPins(state.refused_pins)
        hands = host(store) if host is not None else None
        queue = WorkQueue()
        self.pool = ModemPool(
            queue=queue,
            bus=self.bus,
            limits=self._modem_limits,
            refused_pins=refused_pins,
            messages=self._inbox,
            reports=reports,
            whereabouts=whereabouts,
            restart_usb=hands.restart_usb if hands is not None else None,
        )
        self.vendors = VendorRoutes(queue=queue, bus=self.bus, reports=reports, clock=clock)
        self._senders = senders = Senders(self.pool, self.vendors)
        self.ledger = Ledger(
            state.usage, self._journal, clock, lambda: store.get(SmsSettings).reserve_for_codes_percent
        )
        self.mail = MailAccounts(
            settings=lambda: store.get(EmailSettings),
            device_name=lambda: store.get(GeneralSettings).device_name,
            bus=self.bus,
            clock=clock,
            direct=Direct(helo=lambda: server_name(store), clock=clock),
        )
        self._mail_desk = MailDesk(store, self.mail, self.ledger)
        self.dispatcher = Dispatcher(
            mailing=Mailing(self.mail, self.ledger, self.bus, lambda: store.get(SmsSettings)),
            delivery=Delivery(self.pool, senders, self.ledger, lambda: store.get(SmsSettings)),
            directory=senders,
            ussd=self.pool,
            otp=OtpStore(lambda: store.get(OtpSettings), key, clock, self._journal),
            limits=RateLimits(lambda: store.get(OtpSettings), key, clock, self._journal),
            repeats=Repeats(clock, self._journal, key),
            blocklist=BlockList(store),
            settings=lambda: store.get(SmsSettings),
            clock=clock,
        )
        commands = Commands(
            general=lambda: store.get(GeneralSettings),
            sms=lambda: store.get(SmsSettings),
            otp=lambda: store.get(OtpSettings),
            clock=clock,
        )
        self.door = Door(commands, self.dispatcher, self.bus, lambda: store.get(SmsSettings).longest_wait_s)
        self._subscribers = Subscribers(
            store, self.door, self.bus, self._inbox, lambda: store.get(SmsSettings).longest_wait_s
        )
        self._metrics = Metrics(
            self.bus,
            senders.snapshot,
            self.pool.waiting_for,
            self.ledger.report,
            self._subscribers.list,
            lambda: (one for one in self.mail.accounts() if one.state is not MailState.OFF),
        )
        self._threads = self._api_threads()
        self._api_accounts = ApiAccounts(store, clock)
        self._vendor_door = VendorDoor(
            state=state,
            store=store,
            bus=self.bus,
            clock=clock,
            key=key,
            journal=self._journal,
            door=self.door,
            inbox=self._inbox,
            balances=lambda: self._balances.listed(),
        )
        self._rest_app, self._admin_app = self._apps()
        self._portal_app = bottle.Bottle()
        self.listeners = Listeners(self._plans, lambda: store.get(SmsSettings).longest_wait_s + _GRACE_S)
        self._certificates = Certificates(state.certificate, self._names, clock, self._certificate_changed)
        self._smtp_server = SmtpServer(
            store=store,
            accounts=self._api_accounts,
            certificates=self._certificates,
            relay=self._relay,
            bus=self.bus,
            clock=clock,
        )
        self._ddns = Ddns(
            state=state,
            store=store,
            bus=self.bus,
            clock=clock,
            key=key,
        )
        self._vitals = VitalSigns(state.path, clock)
        uploads = Uploads(clock)
        self._jobs = Jobs(self.bus, clock)
        self._logs = Logs(has_journal=hands is not None and hands.is_board)
        administration = Administration(store, self.pool.snapshot)
        self.appliance: Appliance | None = None
        self._found: FoundModems | None = None
        if hands is not None:
            # The libraries of the host take 10 MB; without a device nobody needs them.
            from otppi.services import appliance

            self.appliance = appliance.Appliance(
                state=state,
                store=store,
                bus=self.bus,
                clock=clock,
                host=hands,
                ending=ending or Ending(),
                renew_certificate=self.listeners.changed,
                duties=[self._vitals.sample, uploads.forget_old],
            )
            self._install_host_pages(self.appliance)
            if hands.modem_sticks is not None:
                self._found = FoundModems(
                    sticks=hands.modem_sticks,
                    store=store,
                    pool=self.pool,
                    whereabouts=whereabouts,
                    bus=self.bus,
                    administration=administration,
                )
        self._balances = Balances(
            file=state.balances,
            store=store,
            ussd=self.pool,
            modems=self.pool.snapshot,
            bus=self.bus,
            clock=clock,
        )
        self._vendor_desk = VendorDesk(store, self.vendors)
        self._correspondence = Correspondence(
            self._inbox, self._balances, senders.snapshot, self.send_by_hand
        )
        self._admin_site = AdminSite(
            state=state,
            store=store,
            bus=self.bus,
            clock=clock,
            key=key,
            journal=self._journal,
            is_beside=self._is_beside,
            send=self._send_code,
            setup_secret=self.appliance.setup_secret if self.appliance is not None else None,
        )
        backup = Backup(
            state=state, store=store, inbox=self._inbox, clock=clock, renewed=self.listeners.changed
        )
        table: dict[str, Callable[..., Any]] = {
            **administration.functions(),
            **self._correspondence.functions(),
            **self.sent_report.functions(),
            **SimTools(store, self.pool, refused_pins, self._jobs, clock).functions(),
            **self._jobs.functions(),
            **self._vendor_desk.functions(),
            **self._vendor_door.functions(),
            **self._subscribers.functions(),
            **self._mail_desk.functions(),
            **self._smtp_server.functions(),
            **self._ddns.functions(),
            **(self.appliance.functions() if self.appliance is not None else {}),
            **(self._found.functions() if self._found is not None else {}),
            **self._certificates.functions(),
            **backup.functions(),
            **OldDevice(state, store).functions(),
            **self._vitals.functions(),
            **self._logs.functions(),
            **self._admin_site.functions(),
            "api_user.used": self._api_accounts.used,
            "send": self.send_by_hand,
            "ussd": self._dial_by_hand,
            "ussd.cancel": self._cancel_by_hand,
            "balance.list": self.balances,
            "balance.ask": self.ask_balance,
            "diagnose": self.diagnose,
            "door.list": self.listeners.listed,
            "route": self.route,
            "cost": self.cost,
        }
        self._control = ControlServer(state.path, table)
        facts = {"confirm_network": self.appliance.network.confirm} if self.appliance is not None else {}
        self._site = site = self._admin_site.install(
            self._admin_app, table, sent_report=self.sent_report, uploads=uploads, **facts
        )
        ApiDocs(lambda: admin_api.description(site.functions, otppi.__version__)).install(self._admin_app)

    def start(self) -> None:
        """Start from the bottom up: modems, doors, then the ears for changes."""
        self._logs.start()
        self.bus.subscribe("log", _log_sms, MessageFinished, lag_s=_LOG_LAG_S)
        self.bus.subscribe("sent", self._sent.take, MessageFinished, DeliveryReported, lag_s=_LOG_LAG_S)
        self.bus.subscribe(
            "traffic",
            self._traffic.take,
            MessageFinished,
            DeliveryReported,
            RequestAnswered,
            lag_s=_LOG_LAG_S,
        )
        self.bus.subscribe("imei", lambda told: learn(self.store, told), ModemLearned)
        self.bus.subscribe("received", self._correspondence.take, SmsReceived, DeliveryReported)
        self.ledger.start()
        self._admin_site.start()
        self._vendor_door.start()
        self._inbox.start()
        self._sent.start()
        # Messages first: nothing of the host is waited for. A port that pppd still has from an earlier life of ours
        # is given up by it when the appliance looks.
        self.pool.apply(self.store.items(ModemSettings))
        self.vendors.apply(self.store.items(VendorRouteSettings))
        self.mail.apply(self.store.items(EmailAccountSettings))
        if self.appliance is not None:
            self.appliance.start()
        self.listeners.start()
        self.bus.subscribe("settings", self._settings_changed, SettingsChanged)
        self._settle_modems()  # what modems told meanwhile is in their settings by now
        if self._found is not None:
            self._found.start()
        self._control.start()
        self._balances.start()
        self._subscribers.start()
        self._smtp_server.start()
        self._ddns.start()
        log.info("the gateway runs", extra={"fields": {"version": otppi.__version__}})

    def stop(self) -> None:
        """Stop from the top down; what callers wait for may finish, within the longest wait of a caller."""
        log.info("the gateway stops")
        self._stopping = True
        # What came from brokers and by SMTP and what callers wait for has the same time to end.
        endings = [
            threading.Thread(target=stop, name="stop:doors")
            for stop in (self._subscribers.stop, self._smtp_server.stop)
        ]
        for ending in endings:
            ending.start()
        self._ddns.stop()
        self.listeners.stop()
        for ending in endings:
            ending.join()
        self._control.stop()
        if self._found is not None:
            self._found.stop()
        self.vendors.stop()  # first, so that what modems leave does not go there
        self.pool.stop()
        self.mail.stop()
        self._jobs.stop()  # the pool has ended what they wait for
        self._balances.stop()
        if self.appliance is not None:
            self.appliance.stop()
        self.bus.stop()
        self._vendor_door.stop()
        self._inbox.stop()  # subscribers read in it
        self._sent.stop()  # they write to it
        self._admin_site.stop()
        self.ledger.stop()
        self._journal.close()
        log.info("the gateway has stopped")
        self._logs.stop()

    def diagnose(self) -> list[dict[str, Any]]:
        """Run all checks."""
        checks = [
            Check(name="gateway", level=Level.GREEN, finding="runs"),
            diagnosis.check_settings(sorted(self.store.problems)),
            storage.check(self._state.path),
            diagnosis.check_runtime_folder(self._journal.is_kept),
            # On a device the keeper of the clock knows more.
            *(() if self.appliance is not None else [diagnosis.check_clock(self._clock.wall_is_trusted())]),
            *(diagnosis.check_door(name, problem) for name, problem in self.listeners.problems()),
            *(self._certificates.checks() if self._has_tls() else ()),
            *diagnosis.check_modems(
                self.pool.snapshot(), has_new=self._found is not None and self._found.has_new
            ),
            *(self._found.checks() if self._found is not None else ()),
            *self._balances.checks(),
            *self._vendor_desk.checks(),
            *self._subscribers.checks(),
            *self._mail_desk.checks(),
            *self._smtp_server.checks(),
            *self._ddns.checks(),
            *self._health_checks(),
            *(self.appliance.checks() if self.appliance is not None else ()),
        ]
        return [check.as_json() for check in checks]

    def probes(self) -> Mapping[str, Probe]:
        """Return what says whether the workers of this process can work; call it once."""
        parts: list[Callable[[], Iterable[str]]] = [
            self.pool.died,
            self.vendors.died,
            self.listeners.died,
            self.bus.died,
            self._control.died,
            self._balances.died,
            self.ledger.died,
            self._inbox.died,
            self._sent.died,
            self._admin_site.died,
            self._subscribers.died,
            self.mail.died,
            self._smtp_server.died,
            self._ddns.died,
        ]
        if self.appliance is not None:
            parts.append(self.appliance.died)
        if self._found is not None:
            parts.append(self._found.died)
        return {
            "threads": nobody_died(*parts),
            "news": BusProbe(self.bus),
            "web": WebProbe(self._doors),
            "settings": readable(lambda: self.store.get(GeneralSettings)),
        }

    def watch_by(self, checks: Callable[[], Iterable[Check]]) -> None:
        """Take what the watchdog has to say into the diagnosis."""
        self._health_checks = checks

    def _doors(self) -> Iterable[WebDoor]:
        for plan, server in self.listeners.running():
            if plan.name != _PORTAL:  # it has no health to ask for, and its address may be down
                yield WebDoor(
                    name=plan.name,
                    host=plan.host,
                    port=server.port,
                    is_tls=plan.certificate is not None,
                    progress=server.progress,
                )

    def route(self, number: str, parts: int, is_code: bool) -> dict[str, Any]:
        """Say which modems a message would be tried at, in which order and why; nothing is sent."""
        sms = self.store.get(SmsSettings)
        try:
            parsed = parse_number(number, sms.country_code)
        except ValueError as error:
            raise BadRequest("number", str(error)) from None
        if parts > sms.max_parts:
            raise BadRequest("parts", f"{parts} parts are more than the {sms.max_parts} allowed")
        BlockList(self.store).check(parsed)
        parcel = Parcel(number=parsed, parts=parts, is_critical=is_code)
        return {
            "currency": self.store.get(GeneralSettings).currency,
            "modems": router.explain(parcel, self._senders.snapshot(), self.ledger),
        }

    def cost(self) -> dict[str, Any]:
        """Say what was sent, what it cost and what was saved."""
        return {
            "currency": self.store.get(GeneralSettings).currency,
            "modems": self.ledger.report(self._senders.snapshot()),
        }

    def balances(self) -> list[dict[str, Any]]:
        """Return what is known to be left on every SIM and every account at a vendor, and what is wrong with it."""
        return [*self._balances.listed(), *self._vendor_desk.balances()]

    def ask_balance(self, modem: str) -> dict[str, Any]:
        """Ask now what is left on a SIM or an account at a vendor, by name or id; waits for network or vendor."""
        if self._vendor_desk.has(modem):
            return self._vendor_desk.test(modem)
        return self._balances.ask_now(modem)

    def send_by_hand(
        self,
        number: str,
        text: str,
        modem: str = "",
        reference: str = "",
        subject: str = "",
        by: str = "",
    ) -> dict[str, Any]:
        """Send a message for the owner of the device; the answer is that of the API.

        The same message with the same reference is a repeat: it gets the first outcome, and nothing is sent again.

        Args:
            number: Whom to: a phone number, or an e-mail address.
            text: What to send.
            modem: Id or name of the one modem that may send it; empty if any may.
            reference: Names the message, so that it is not sent twice.
            subject: Of an e-mail; empty for that of the settings.
            by: Who asks.
        """
        return self._ask(
            by,
            "send-message",
            receiver=number,
            message=text,
            subject=subject,
            modem_id=modem,
            id=reference,
        )

    def _send_code(self, contacts: Sequence[str], text: str) -> None:
        """Send a text that is worth something for a few minutes only; raises DeliveryError if it did not go out."""
        now_s = int(self._clock.wall_s())
        first, *others = contacts
        answer = self._ask(
            "recovery",
            "send-message",
            receiver=first,
            message=text,
            subject=_CODE_SUBJECT,
            date_time=now_s,
            expiration=now_s + _CODE_LIFE_S,
            fallback=[{"receiver": one, "after_s": _CODE_PATIENCE_S} for one in others],
        )
        if answer.get("response_code") != "0000":
            raise DeliveryError(str(answer.get("response_code")))

    def _relay(self, origin: Origin, mail: Relayed, address: str) -> MailReceipt:
        """Hand on an e-mail that came by SMTP, the way that the settings say."""
        directly = self.store.get(SubmissionSettings).delivery == DIRECTLY
        return self.door.relay(origin, mail, address, directly=directly)

    def _dial_by_hand(self, modem: str, code: str, by: str = "") -> dict[str, Any]:
        """Send a USSD code, or the reply to a menu, through a modem; the answer is that of the API."""
        return self._ask(by, "request-ussd", modem_id=modem, ussd_code=code)

    def _cancel_by_hand(self, modem: str, by: str = "") -> dict[str, Any]:
        """End a USSD session."""
        return self._ask(by, "cancel-ussd", modem_id=modem)

    def _ask(self, user: str, command: str, **data: object) -> dict[str, Any]:
        origin = Origin(door="admin" if user else "cli", user=user)
        return dict(self.door.answer({"command": command, "data": data}, origin).document)

    def _modem_limits(self) -> Limits:
        sms = self.store.get(SmsSettings)
        return Limits(
            answer_s=sms.answer_limit_s,
            silent_after_s=sms.overtake_after_s,
            ussd_session_s=sms.ussd_session_s,
        )

    def _api_threads(self) -> int:
        return max(
            self.store.get(ApiSettings).threads,
            # For each modem a message in hand and one that waits, so that no modem waits for a caller.
            2 * len(self.store.items(ModemSettings))
            + 2 * sum(one.in_flight for one in self.store.items(VendorRouteSettings).values())
            + THREADS_KEPT_FREE,
        )

    def _apps(self) -> tuple[bottle.Bottle, bottle.Bottle]:
        rest_app, admin_app = bottle.Bottle(), bottle.Bottle()
        rest = RestApi(
            door=self.door,
            accounts=self._api_accounts,
            settings=lambda: self.store.get(ApiSettings),
            threads=self._threads,
        )
        observability = Observability(
            modems=self._modem_counts,
            metrics=self._metrics.render,
            metrics_are_open=lambda: self.store.get(ApiSettings).metrics_access == "open",
            log_in=rest.user,
        )
        for app in (rest_app, admin_app, self._vendor_door.app):
            observability.install(app)
        ApiDocs().install(rest_app)
        rest.install(rest_app)
        return rest_app, admin_app

    def _install_host_pages(self, appliance: "Appliance") -> None:
        TimeOffer(is_on_access_point=self._is_beside, offer=appliance.offer_time).install(self._admin_app)
        Portal(self._admin_url, lambda: not self.store.items(Administrator)).install(self._portal_app)

    def _admin_url(self) -> str:
        return f"http://{self._access_point_address()}:{self.store.get(AdminSettings).http_port}/"

    def _access_point_address(self) -> str:
        return str(read_interface(self.store.get(WlanSettings).address).ip)

    def _plans(self) -> Sequence[Plan]:
        api, admin = self.store.get(ApiSettings), self.store.get(AdminSettings)
        pages = Plan(
            name="admin",
            app=self._admin_app,
            host=admin.host,
            port=admin.http_port,
            threads=_ADMIN_THREADS,
            max_body_bytes=_ADMIN_BODY_BYTES,
            body_limit=self._admin_body_bytes,
        )
        rest = Plan(
            name="rest",
            app=self._rest_app,
            host=api.host,
            port=api.http_port,
            threads=self._threads,
            max_body_bytes=api.max_body_bytes,
        )
        plans = [pages]
        if api.http_enabled:
            plans.append(rest)
        with_tls = []
        if api.https_enabled:
            with_tls.append(replace(rest, name="rest-tls", port=api.https_port))
        if admin.https_enabled:
            with_tls.append(replace(pages, name="admin-tls", port=admin.https_port))
        of_vendor, of_vendor_with_tls = self._vendor_door.plans()
        plans += of_vendor
        with_tls += of_vendor_with_tls
        if with_tls:
            plans += self._certified(with_tls)
        if self._has_portal(plans):
            plans.append(
                Plan(
                    name=_PORTAL,
                    app=self._portal_app,
                    host=self._access_point_address(),
                    port=PORTAL_PORT,
                    threads=_PORTAL_THREADS,
                    max_body_bytes=api.max_body_bytes,
                )
            )
        return plans

    def _admin_body_bytes(self, fields: Mapping[str, str]) -> int:
        return _OWNER_BODY_BYTES if self._site.is_of_owner(fields) else _ADMIN_BODY_BYTES

    def _has_portal(self, others: Iterable[Plan]) -> bool:
        is_free = PORTAL_PORT not in (plan.port for plan in others)
        return is_free and self.appliance is not None and self.appliance.has_access_point

    def _has_tls(self) -> bool:
        get = self.store.get
        return (
            get(AdminSettings).https_enabled
            or get(ApiSettings).https_enabled
            or get(VendorApiSettings).https_enabled
        )

    def _certified(self, plans: Iterable[Plan]) -> Sequence[Plan]:
        try:
            certificate = self._certificates.files()
        except (CannotMakeCertificate, OSError) as error:
            # Without HTTPS the device still sends; it must not stop for want of a certificate.
            return [replace(plan, problem=f"no certificate: {error}") for plan in plans]
        return [replace(plan, certificate=certificate) for plan in plans]

    def _certificate_changed(self) -> None:
        self.listeners.changed()
        self._smtp_server.changed()

    def _names(self) -> list[str]:
        """Return the names and addresses that a client may call the device by."""
        names = [socket.gethostname(), "localhost", "127.0.0.1"]
        names += [f"{self.store.get(NetworkSettings).hostname.lower()}.local", self._access_point_address()]
        if ethernet := self.store.get(EthernetSettings).address:
            names.append(str(read_interface(ethernet).ip))
        return names

    def _settings_changed(self, change: SettingsChanged) -> None:
        if self._stopping:
            return
        if change.section == ModemSettings.key:
            self._settle_modems()
        if change.section == VendorRouteSettings.key:
            self.vendors.apply(self.store.items(VendorRouteSettings))
        if change.section == EmailAccountSettings.key:
            self.mail.apply(self.store.items(EmailAccountSettings))
        if change.section in _LISTENING:
            self.listeners.changed()

    def _settle_modems(self) -> None:
        modems = self.store.items(ModemSettings)
        with self.appliance.ports_settled(modems) if self.appliance is not None else nullcontext():
            self.pool.apply(modems)

    def _modem_counts(self) -> tuple[int, int]:
        modems = [modem for modem in self.pool.snapshot() if modem.active]
        return sum(modem.is_ready for modem in modems), len(modems)

    def _is_beside(self, address: str, from_address: str) -> bool:
        """Whether whoever asks stands beside the device: on its access point, or at the desk of a demo."""
        if self.appliance is None:
            return False
        if not self.appliance.is_board:
            return on_this_machine(address, from_address)
        return self.appliance.network.is_on_access_point(address, from_address)


def _log_sms(event: MessageFinished) -> None:
    is_sms = event.channel is Channel.SMS
    fields: dict[str, object] = {
        "message_id": event.message_id,
        "modem" if is_sms else "account": event.modem_name,
        "door": event.door,
        "user": event.user,
        "to": event.masked_number,
        "parts": event.parts,
        "seconds": event.duration_s,
    }
    if event.reason:
        fields["reason"] = event.reason
    if event.late:
        log.warning("sms confirmed late", extra={"fields": fields})
    else:
        log.info(f"{event.channel.value} {event.outcome.value}", extra={"fields": fields})
