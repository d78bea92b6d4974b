"""From where somebody asks, and with what."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest

ADDRESS_LIMIT = 45  # characters of an IPv6 address
PROGRAM_LIMIT = 200  # characters of what a program says of itself


def client_address(request: HttpRequest) -> str:
    """The address that a request came from; behind a proxy the one that the proxy tells."""
    return address_in(request.META)


def address_in(environ: Mapping[str, Any]) -> str:
    """The same, of a request as the web server hands it on."""
    told = environ.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        # Only the last entry was written by the proxy; those before are what the client likes to be taken for.
        told = environ.get("HTTP_X_FORWARDED_FOR", told).rpartition(",")[2]
    return _without_port(str(told).strip())[:ADDRESS_LIMIT]


def _without_port(text: str) -> str:
    """Some proxies tell the port too: `203.0.113.5:40000`, `[2001:db8::1]:40000`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def network_of(address: str) -> str:
    """Whom an address counts for: one household or office has all addresses of an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"  # one for all: whatever a proxy may write there, nobody counts as somebody new each time
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def program_of(request: HttpRequest) -> str:
    """What the asking program calls itself, on one line."""
    text = request.headers.get("User-Agent", "")
    return "".join(letter for letter in text if letter.isprintable())[:PROGRAM_LIMIT]
