"""Times and durations in words."""

from datetime import datetime, timedelta

from django.template.defaultfilters import date as format_date
from django.utils import timezone


def duration_words(duration: timedelta) -> str:
    """0.35 s, 12 s, 3 min 5 s, 2 h 10 min."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, whole = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {whole} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def clock_words(moment: datetime) -> str:
    """The time of day, with the day where that is not today: 09:12, 23 November 09:12."""
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localdate()
    return format_date(local, "H:i" if is_today else "j F H:i")
