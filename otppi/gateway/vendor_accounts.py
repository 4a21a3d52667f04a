"""Who may use the vendor API."""

from ipaddress import IPv6Address, ip_address, ip_network

from otppi.gateway.accounts import ApiUser
from otppi.settings.fields import boolean, integer, listing, number, password, secret


class VendorAccount(
    ApiUser, key="vendor_accounts", title="Accounts of the vendor API", reset_flag="RESET_API_USER", many=True
):
    """Accounts that may use the vendor API; the id of an entry is the account's name."""

    password: str = password(
        min_length=8, help="Password for programs of version 1, which put it into the address."
    )
    api_key: str = secret(
        title="API key",
        default="",
        pattern=r"([!-~]{8,64})?",
        shape="8 to 64 letters, digits and signs",
        help="What programs of version 2 (/sendsmsV2 and its like) sign with; empty, they are refused.",
    )
    addresses: tuple[str, ...] = listing(
        title="Only from",
        default=(),
        item_pattern=r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?",
        item_shape="an address such as 192.0.2.7 or a network such as 192.0.2.0/24",
        help="Addresses and networks from which the account may be used; empty, from any.",
    )
    credit: int = integer(
        title="Parts it may send",
        default=0,
        minimum=0,
        maximum=1_000_000_000,
        help="How many parts of messages the account may send in all, and what /getbalance then tells is left; raise "
        "it to let it send more. 0 is no limit, and /getbalance tells what is left on the SIMs.",
    )
    life_s: float = number(
        title="Its messages live for",
        default=0,
        minimum=0,
        maximum=86_400,
        unit="s",
        help="How long its messages are worth sending. Set some minutes where they are codes: these overtake others, "
        "and go out once more through another modem when one does not answer. 0 is without end.",
    )
    reads_inbox: bool = boolean(
        title="Reads the inbox",
        default=False,
        help="Whether /getsms tells it the messages that the SIMs receive, those for others included.",
    )

    def check(self) -> dict[str, str]:
        """See `Section`."""
        try:
            for one in self.addresses:
                ip_network(one, strict=False)
        except ValueError:
            return {"addresses": "has an item that is no address and no network"}
        return {}

    def admits(self, address: str) -> bool:
        """Whether the account may be used from an address."""
        if not self.addresses:
            return True
        try:
            caller = ip_address(address)
        except ValueError:
            return False
        if isinstance(caller, IPv6Address) and caller.ipv4_mapped is not None:
            caller = caller.ipv4_mapped
        return any(caller in ip_network(one, strict=False) for one in self.addresses)
