"""Which addresses an event may be sent to: public ones, by a list of our own.

`ipaddress.is_global` lets through multicast and addresses of version 6 that hold one of version 4, such as
`64:ff9b::7f00:1`; hence every range is named here.
"""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_DENIED_4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's metadata
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
_PUBLIC_6 = IPv6Network("2000::/3")
"""All that is given out to the public; outside lie loopback, mapped, NAT64, private, link-local and multicast ones."""
_DENIED_6 = [
    IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: holds any address of version 4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]


def may_be_called(address: Address) -> bool:
    """Whether the address is a public one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_4)
    if address.scope_id is not None:
        return False
    return address in _PUBLIC_6 and not any(address in network for network in _DENIED_6)


def written(host: str) -> Address | None:
    """The address that a host is written as, also in the short, octal and hexadecimal ways; None for a name."""
    bare = host.strip("[]").rstrip(".")
    try:
        return ip_address(bare)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, ValueError):
        return None
