"""Where sessions are kept: in a table that knows whose they are, so that their owner can see and end them."""

import uuid
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from zenweb.accounts.addresses import client_address, program_of
from zenweb.accounts.audit import record_audit
from zenweb.accounts.models import BrowserSession, User
from zenweb.enums import AuditVerb

MOST_SHOWN = 100
MOST_FORGOTTEN = 500  # at once
_ORIGIN = "signed_in_from"


class SessionStore(DatabaseStore):
    """Django's, with the columns that `BrowserSession` adds."""

    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        row = cast(BrowserSession, super().create_model_instance(data))
        origin = data.get(_ORIGIN, {})
        row.user_id = uuid.UUID(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.started_at = parse_datetime(origin["at"]) if origin else None
        row.address, row.browser = origin.get("address", ""), origin.get("browser", "")
        return row


def note_origin(request: HttpRequest) -> None:
    """Say of the session that has just begun from where it was."""
    request.session[_ORIGIN] = {
        "at": timezone.now().isoformat(),
        "address": client_address(request),
        "browser": program_of(request),
    }
    # Nobody else clears away what has expired.
    expired = BrowserSession.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)
    BrowserSession.objects.filter(pk__in=list(expired[:MOST_FORGOTTEN])).delete()


def sessions_of(user: User) -> list[BrowserSession]:
    """Where somebody is signed in, the latest first."""
    live = user.browser_sessions.filter(expire_date__gt=timezone.now())
    return list(live.defer("session_data").order_by("-expire_date")[:MOST_SHOWN])


@transaction.atomic
def end_session(user: User, handle: str) -> bool:
    """Sign a browser out; was there such a session?"""
    keys = [session.session_key for session in sessions_of(user) if session.handle == handle]
    return bool(_end(user, user.browser_sessions.filter(session_key__in=keys)))


@transaction.atomic
def end_other_sessions(request: HttpRequest, user: User) -> int:
    """Sign all browsers out but the one that asks; how many those were."""
    return _end(user, user.browser_sessions.exclude(session_key=request.session.session_key))


def _end(user: User, sessions: "QuerySet[BrowserSession]") -> int:
    ended = sessions.delete()[0]
    if ended:
        record_audit(actor=user, verb=AuditVerb.END_SESSIONS, thing=user, after={"sessions": ended})
    return ended
