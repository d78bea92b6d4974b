"""Guessing is slowed down: after some wrong tries each further one has to wait longer, and no wait is for ever.

Whoever guesses at an account from one address keeps nobody out of it who comes from another.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import ngettext

from zenweb.accounts.models import FailedTries
from zenweb.exceptions import TooManyTries

FORGOTTEN_AFTER = timedelta(days=1)
MOST_FORGOTTEN = 500  # at once


@dataclass(frozen=True)
class Brake:
    """How many wrong tries are free, how long the next one waits, twice as long each time, and how long at most."""

    name: str
    free: int
    first_wait: timedelta
    longest_wait: timedelta

    def take(self, *whom: str) -> datetime:
        """Count a try before it is looked at, or as many as come at once would all be looked at.

        One that lies back by the longest wait is forgiven. Returns when the one before was; raises TooManyTries while
        one has to wait.
        """
        now = timezone.now()
        with transaction.atomic():
            tries, is_new = FailedTries.objects.select_for_update().get_or_create(
                key=self._key(whom), defaults={"last_at": now}
            )
            if is_new:
                _forget_old_ones(now)
            former = tries.last_at
            passed = now - former
            forgiven = max(0, int(passed / self.longest_wait))
            tries.count = 0 if abs(passed) > FORGOTTEN_AFTER else max(0, tries.count - forgiven)
            if wait := self._wait(tries, now):
                raise TooManyTries(_too_many(wait), wait)
            tries.count += 1
            tries.last_at = now
            tries.save()
        return former

    def give_back(self, former: datetime, *whom: str) -> None:
        """That try was right, or not looked at, and counts for nothing. `former`: what `take` returned."""
        tries = FailedTries.objects.filter(key=self._key(whom), count__gt=0)
        tries.update(count=F("count") - 1, last_at=former)

    def release(self, *whom: str) -> None:
        """Who it is is known now: what went wrong before counts for nothing."""
        FailedTries.objects.filter(key=self._key(whom)).delete()

    def _wait(self, tries: FailedTries, now: datetime) -> int:
        """Seconds until the next try is looked at."""
        if tries.count < self.free:
            return 0
        doublings = min(tries.count - self.free, 30)
        pause = min(self.longest_wait, self.first_wait * 2**doublings)
        # A clock that was set back since makes nobody wait longer.
        left: timedelta = min(pause, tries.last_at + pause - now)
        return max(0, ceil(left.total_seconds()))

    def _key(self, whom: tuple[str, ...]) -> str:
        text = "\0".join([self.name, *whom])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _too_many(seconds: int) -> str:
    if seconds < 60:
        return ngettext(
            "Too many wrong tries. Try again in %(seconds)s second.",
            "Too many wrong tries. Try again in %(seconds)s seconds.",
            seconds,
        ) % {"seconds": seconds}
    minutes = -(-seconds // 60)
    return ngettext(
        "Too many wrong tries. Try again in %(minutes)s minute.",
        "Too many wrong tries. Try again in %(minutes)s minutes.",
        minutes,
    ) % {"minutes": minutes}


def _forget_old_ones(now: datetime) -> None:
    old = FailedTries.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).values_list("pk", flat=True)
    FailedTries.objects.filter(pk__in=list(old[:MOST_FORGOTTEN])).delete()
