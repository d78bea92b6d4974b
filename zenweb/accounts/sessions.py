"""Where sessions are kept: in a table that knows whose they are, so that their owner can see and end them."""

import logging
import uuid
from datetime import timedelta
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.db import OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from zenweb.accounts.addresses import client_address, program_of
from zenweb.accounts.audit import record_audit
from zenweb.accounts.models import BrowserSession, User
from zenweb.enums import AuditVerb

logger = logging.getLogger(__name__)
ACTIVITY_PRECISION = timedelta(minutes=1)
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
        row.active_at = timezone.now()
        return row

    def _get_session_from_db(self) -> BrowserSession | None:
        row: BrowserSession | None = super()._get_session_from_db()  # type: ignore[misc]  # not in the stubs
        if row is not None and row.user_id is not None:
            _note_activity(row)
        return row


def _note_activity(session: BrowserSession) -> None:
    """One of many requests within a minute writes; what cannot be written now, the next one will."""
    now = timezone.now()
    long_ago = now - ACTIVITY_PRECISION
    if session.active_at is not None and session.active_at > long_ago:
        return
    before = Q(active_at=None) | Q(active_at__lte=long_ago)
    try:
        with transaction.atomic():
            BrowserSession.objects.filter(before, pk=session.pk).update(active_at=now)
    except OperationalError:
        logger.warning("The activity of a session could not be noted.", exc_info=True)


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
    """Where somebody is signed in, the one that was active last first."""
    live = user.browser_sessions.filter(expire_date__gt=timezone.now())
    latest = F("active_at").desc(nulls_last=True)
    return list(live.defer("session_data").order_by(latest, "-expire_date")[:MOST_SHOWN])


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
