"""Requests that carry a key of their sender's, so that sending one again is answered and does nothing again."""

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from zenweb.accounts.models import KeyedRequest

MOST_FORGOTTEN = 5_000  # at once


def claim(asked: KeyedRequest) -> KeyedRequest:
    """The row of this caller, route and key: this one, unless there was one before.

    Within the transaction of what is to be done. Whoever sends the same meanwhile waits here until that is over.
    """
    KeyedRequest.objects.bulk_create([asked], ignore_conflicts=True)
    return _like(asked).get()


def kept_of(asked: KeyedRequest) -> KeyedRequest | None:
    """The row of this caller, route and key, if there is one already: nobody waits for who only looks."""
    return _like(asked).first()


def _like(asked: KeyedRequest) -> QuerySet[KeyedRequest]:
    return KeyedRequest.objects.filter(user_id=asked.user_id, route=asked.route, key=asked.key)


def forget_old_requests() -> int:
    """Remove some of those that are older than they are kept for, oldest first; how many that were."""
    if settings.KEEP_IDEMPOTENCY_KEYS is None:
        return 0
    old = KeyedRequest.objects.filter(created__lt=timezone.now() - settings.KEEP_IDEMPOTENCY_KEYS)
    oldest = list(old.order_by("created").values_list("pk", flat=True)[:MOST_FORGOTTEN])
    return int(KeyedRequest.objects.filter(pk__in=oldest).delete()[0])
