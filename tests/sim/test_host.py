from otppi.contracts.host import Network, Power, Speaker, Units
from otppi.lib.clock import SystemClock
from otppi.model.network import NetworkPlan
from otppi.sim.host import SimNetwork, SimPower, SimSpeaker, SimUnits
from tests.system.network.test_profiles import ACCESS_POINT, STATIC


def test_a_simulated_access_point_says_what_it_would_be():
    shown = []
    network: Network = SimNetwork(SystemClock(), shown.append)
    plan = NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC)
    network.apply(plan)
    network.apply(plan)
    state = network.state().of("wlan0")
    assert (state.mode, state.ssid, state.channel, state.security) == ("ap", "OTP-Pi ünï", 6, "wpa2 and wpa3")
    assert shown == ["network: otppi; eth0 192.0.2.10/24; wlan0 192.168.0.11/24 as OTP-Pi ünï"]
    assert ACCESS_POINT.passphrase not in "".join(shown)


def test_an_access_point_that_is_not_planned_is_off():
    network = SimNetwork(SystemClock(), lambda _: None)
    network.apply(NetworkPlan(hostname="otppi", access_point=ACCESS_POINT, ethernet=STATIC))
    network.apply(NetworkPlan(hostname="otppi", access_point=None, ethernet=None))
    assert [one.interface for one in network.state().interfaces] == ["eth0"]


def test_units_remember_what_runs():
    shown = []
    units: Units = SimUnits(shown.append)
    assert units.state("otppi-firewall.service") == "inactive"
    units.start("otppi-firewall.service")
    assert units.state("otppi-firewall.service") == "active"
    units.restart("otppi-firewall.service")
    units.stop("otppi-firewall.service")
    assert units.state("otppi-firewall.service") == "inactive"
    assert shown[-1] == "unit otppi-firewall.service: stopped"


def test_power_and_speaker_only_tell():
    shown = []
    power: Power = SimPower(shown.append)
    speaker: Speaker = SimSpeaker(shown.append)
    power.reboot()
    power.power_off()
    speaker.tone(440, 0.25)
    speaker.tone(0, 0.25)
    assert shown == [
        "power: the board would restart now",
        "power: the board would switch off now",
        "buzzer: 440 Hz for 0.25 s",
        "buzzer: rest",
    ]
