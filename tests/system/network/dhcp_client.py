"""A DHCP and DNS client, small enough to be run alone by any Python in a network namespace.

dhcp_client.py lease INTERFACE MAC [ADDRESS]   prints the lease as JSON, or null
dhcp_client.py ask SERVER NAME TYPE            prints rcode and addresses as JSON
"""

import json
import secrets
import socket
import struct
import sys

PATIENCE_S = 1.0
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
ADDRESSES = {1: "netmask", 3: "router", 6: "dns", 54: "server"}
TEXTS = {15: "domain"}


def message(kind, xid, mac, options):
    head = struct.pack("!4BIHH16x6s10x192x", 1, 1, 6, 0, xid, 0, 0x8000, mac)
    wanted = bytes([55, 6, 1, 3, 6, 15, 51, 119])
    return head + b"\x63\x82\x53\x63" + bytes([53, 1, kind]) + wanted + options + b"\xff"


def parsed(data):
    options, rest = {}, data[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return socket.inet_ntoa(data[16:20]), options


def answer(sock, xid):
    while True:
        data = sock.recv(2048)
        if data[0] == 2 and struct.unpack("!I", data[4:8])[0] == xid:
            return parsed(data)


def exchange(sock, kind, mac, options):
    xid = secrets.randbits(32)
    sock.sendto(message(kind, xid, mac, options), ("255.255.255.255", 67))
    try:
        return answer(sock, xid)
    except TimeoutError:
        return None


def option(code, address):
    return bytes([code, 4]) + socket.inet_aton(address)


def lease(interface, mac_text, wish=None):
    mac = bytes.fromhex(mac_text.replace(":", ""))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        sock.settimeout(PATIENCE_S)
        sock.bind(("", 68))
        offer = exchange(sock, DISCOVER, mac, option(50, wish) if wish else b"")
        if offer is None:
            return None
        address, options = offer
        ack = exchange(sock, REQUEST, mac, option(50, address) + bytes([54, 4]) + options[54])
        if ack is None or ack[1][53][0] != ACK:
            return None
        return shown(*ack)


def shown(address, options):
    result = {"address": address, "lease_s": struct.unpack("!I", options[51])[0]}
    for code, name in ADDRESSES.items():
        raw = options.get(code, b"")
        result[name] = [socket.inet_ntoa(raw[at : at + 4]) for at in range(0, len(raw), 4)]
    for code, name in TEXTS.items():
        result[name] = options.get(code, b"").rstrip(b"\0").decode()
    result["search"] = options.get(119, b"").hex()
    return result


def ask(server, name, kind):
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", int(kind), 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendto(query, (server, 53))
        try:
            data = sock.recv(2048)
        except TimeoutError:
            return {"rcode": None, "addresses": []}
    flags, _, count = struct.unpack("!3H", data[2:8])
    rest, addresses = data[len(query) :], []
    for _ in range(count):  # the name of an answer is a pointer here
        size = struct.unpack("!H", rest[10:12])[0]
        if size == 4:
            addresses.append(socket.inet_ntoa(rest[12:16]))
        rest = rest[12 + size :]
    return {"rcode": flags & 15, "addresses": addresses, "answers": count}


print(json.dumps({"lease": lease, "ask": ask}[sys.argv[1]](*sys.argv[2:])))
