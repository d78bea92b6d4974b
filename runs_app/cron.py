"""When a cron expression's times come in a time zone: as Debian's cron has them, daylight saving included."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.utils.translation import get_language

from zenweb.config.suggestions import did_you_mean
from zenweb.exceptions import FieldError, ValidationFailed

EXPRESSION_LIMIT = 100  # characters
FIELDS = 5
FORM = (
    "Write minute, hour, day of the month, month and day of the week, "
    'such as "30 6 * * MON-FRI" for half past six on working days.'
)


def check_times(cron: str, zone: str, now: datetime) -> None:
    """Raises ValidationFailed with all that is wrong with an expression and its zone."""
    errors = []
    if zone not in _zones():
        sentence = (
            f"There is no time zone {zone!r}.{did_you_mean(zone, _zones())} Write it like Europe/Berlin."
        )
        errors.append(FieldError("/zone", sentence))
    if fault := _fault_of(cron):
        errors.append(FieldError("/cron_expression", f"{cron!r} is no cron expression: {fault}. {FORM}"))
    elif next(times_after(cron, "UTC", now), None) is None:
        errors.append(FieldError("/cron_expression", f"{cron!r} names a time that never comes."))
    if errors:
        raise ValidationFailed(errors)


def times_after(cron: str, zone: str, moment: datetime) -> Iterator[datetime]:
    """The times after a moment, in UTC; for ever, unless they never come.

    A time that the clocks skip comes as soon as they have skipped it. In an hour that they repeat, a time of its own
    (`30 2 * * *`) comes once, the first time; one of every hour (`30 * * * *`) comes in both.
    """
    for at in CronSim(cron, moment.astimezone(ZoneInfo(zone))):
        # In UTC, for times of one zone are compared by what the clocks show: in a repeated hour those may go back.
        if (time := at.astimezone(UTC)) > moment:
            yield time


def last_time(cron: str, zone: str, since: datetime, until: datetime) -> datetime | None:
    """The last time after one moment and not after another. Looks back further and further: a year has many minutes."""
    span = timedelta(hours=1)
    while True:
        start = max(since, until - span)
        found = list(takewhile(lambda time: time <= until, times_after(cron, zone, start)))
        if found or start == since:
            return found[-1] if found else None
        span *= 24


def in_words(cron: str) -> str:
    """`At 06:30 on Monday through Friday`; in another language than English the expression itself."""
    is_english = (get_language() or "en").startswith("en")
    return CronSim(cron, datetime.now(UTC)).explain() if is_english else cron


def _fault_of(cron: str) -> str:
    if len(cron) > EXPRESSION_LIMIT:
        return f"it has more than {EXPRESSION_LIMIT} characters"
    if (count := len(cron.split())) != FIELDS:
        return f"it has {count} field{'' if count == 1 else 's'}, not {FIELDS}"
    try:
        CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        return str(error).lower()
    return ""


@cache
def _zones() -> frozenset[str]:
    """The names of the IANA database, without those of a machine's own files."""
    return frozenset(available_timezones() - {"localtime", "Factory"})
