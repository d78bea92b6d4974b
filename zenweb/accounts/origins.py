"""Through which door, and from where, something is asked for: the audit tells it, and no verb has to hand it on."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from zenweb.accounts.addresses import client_address
from zenweb.enums import AuditChannel

REST = "/api/"
# What our own clients call themselves. They are believed: it opens nothing.
CLIENTS = {"sdk": AuditChannel.SDK, "cli": AuditChannel.CLI}


@dataclass(frozen=True)
class Origin:
    channel: AuditChannel
    address: str = ""


_current: ContextVar[Origin] = ContextVar("origin", default=Origin(AuditChannel.SERVER))  # noqa: B039 it is frozen


def current_origin() -> Origin:
    """Where this thread's request came from; without one it is the server itself that acts."""
    return _current.get()


def remember_origin(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: as long as a request is answered, its origin is known."""

    def answer(request: HttpRequest) -> HttpResponse:
        token = _current.set(Origin(_channel(request), client_address(request)))
        try:
            return get_response(request)
        finally:
            _current.reset(token)

    return answer


def _channel(request: HttpRequest) -> AuditChannel:
    if request.path.startswith(REST):
        return CLIENTS.get(request.headers.get("X-ZenWeb-Channel", ""), AuditChannel.REST)
    return AuditChannel.ADMIN if request.path.startswith(reverse("admin:index")) else AuditChannel.PAGE
