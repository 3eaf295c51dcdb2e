"""Telling the local network where the server is, by multicast DNS (zeroconf), so that
Home Assistant finds it by itself.

Home Assistant looks for services of the type `_wyoming._tcp.local.` and connects to the
first address that one names (`zeroconf` in the manifest of its integration `wyoming`).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kws.errors import KwsError, require

TYPE = "_wyoming._tcp.local."

_MULTICAST = "224.0.0.251"  # of multicast DNS: RFC 6762


@asynccontextmanager
async def announced(name: str, addresses: Sequence[tuple[str, int]]) -> AsyncIterator[str]:
    """Announces a server at (host, port) under a name while its block runs. The block
    gets the name in use, which has a number added where another server has the name
    already.

    A server that listens everywhere is announced at this machine's address in the local
    network, another one at its own addresses. Raises KwsError where that fails.
    """
    zeroconf = require("zeroconf", extra="zeroconf")
    aio = require("zeroconf.asyncio", extra="zeroconf")
    hosts = [_address(host) for host, _ in addresses]
    found = [_own_address()] if any(host.is_unspecified for host in hosts) else [str(host) for host in hosts]
    refused = (OSError, zeroconf.Error)
    try:
        service = aio.AsyncServiceInfo(TYPE, f"{name}.{TYPE}", port=addresses[0][1], parsed_addresses=found)
        network = aio.AsyncZeroconf(interfaces=found)
    except refused as error:
        raise _failure(name, error) from error
    try:
        try:
            await (await network.async_register_service(service, allow_name_change=True))
        except refused as error:
            raise _failure(name, error) from error
        yield service.name.removesuffix(f".{TYPE}")
    finally:
        await network.async_unregister_all_services()
        await network.async_close()


def is_of_this_machine(addresses: Sequence[tuple[str, int]]) -> bool:
    """Whether no other machine reaches any of these (host, port): they are told of on
    the loopback alone, where Home Assistant does not look either.
    """
    return all(_address(host).is_loopback for host, _ in addresses)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(host.partition("%")[0])


def _own_address() -> str:
    """The IPv4 address from which this machine speaks to the local network's multicast;
    nothing is sent to find out. Without a network it is the loopback address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect((_MULTICAST, 5353))
        except OSError:
            return "127.0.0.1"
        return str(line.getsockname()[0])


def _failure(name: str, error: Exception) -> KwsError:
    return KwsError(f"--zeroconf {name}: the server cannot be announced ({str(error) or type(error).__name__})")
