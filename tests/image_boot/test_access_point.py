import json
from ipaddress import ip_address

import pytest

pytestmark = pytest.mark.short

ADMIN, PORTAL, REST, HTTPS, SSH = 8888, 80, 8899, 443, 22
OWN = "192.168.0.11"


@pytest.fixture(scope="module")
def born(machine):
    return json.loads(machine.run("cat /var/lib/otppi/keys/born.json").said)


@pytest.fixture(scope="module")
def lease(station, born):
    assert station.join(born["ssid"], born["passphrase"])
    return station.lease()


def test_a_wrong_passphrase_does_not_join(station, born):
    assert not station.join(born["ssid"], "wrong-passphrase-of-somebody", limit_s=20)


def test_the_brochures_passphrase_joins_and_gets_an_address_of_the_range(lease):
    assert ip_address("192.168.0.40") <= ip_address(lease["ip"]) <= ip_address("192.168.0.254")
    assert lease["router"] == OWN


def test_the_lease_is_from_the_range_that_the_settings_name(machine, lease):
    # NetworkManager 1.52 is told the range; older ones add one of their own.
    running = machine.run("ps -wwo args= -C dnsmasq").said
    wanted = machine.run("nmcli -g ipv4.shared-dhcp-range connection show --active otppi-access-point").said
    assert wanted == "192.168.0.40,192.168.0.254"
    assert f"--dhcp-range={wanted}" in running


def test_the_admin_page_opens_over_the_access_point(station, lease):
    page = station.get(f"http://{OWN}:{ADMIN}/")
    assert page.code == 0, page.said
    assert "200 OK" in page.said


def test_only_the_services_are_open_to_a_client(station, lease):
    ports = {
        ADMIN: "open",
        REST: "open",
        HTTPS: "open",
        PORTAL: "open",
        SSH: "silent",
        111: "silent",
        631: "silent",
    }
    assert station.knock(OWN, list(ports)) == ports


def test_a_client_does_not_come_further(station, lease):
    # The tester's side of Ethernet.
    assert set(station.knock("10.0.2.2", [22, 80]).values()) <= {"silent", "closed"}
