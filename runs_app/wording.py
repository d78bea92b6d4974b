"""Times, durations, statuses and channels in words."""

from datetime import datetime, timedelta

from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from zenweb.enums import ExecutionStatus, TriggerChannel

STATUSES = {
    ExecutionStatus.INITIALIZING: gettext_lazy("Waiting"),
    ExecutionStatus.RUNNING: gettext_lazy("Running"),
    ExecutionStatus.COMPLETED: gettext_lazy("Completed"),
    ExecutionStatus.FAILED: gettext_lazy("Failed"),
    ExecutionStatus.CACHED: gettext_lazy("Cached"),
    ExecutionStatus.RETRYING: gettext_lazy("Retrying"),
    ExecutionStatus.RETRIED: gettext_lazy("Retried"),
    ExecutionStatus.STOPPING: gettext_lazy("Stopping"),
    ExecutionStatus.STOPPED: gettext_lazy("Stopped"),
}
# As they follow a name: "alice through …".
CHANNELS = {
    TriggerChannel.PAGE: gettext_lazy("the form"),
    TriggerChannel.REST: gettext_lazy("REST"),
    TriggerChannel.SDK: gettext_lazy("Python"),
    TriggerChannel.CLI: gettext_lazy("the command line"),
    TriggerChannel.ADMIN: gettext_lazy("the admin pages"),
    TriggerChannel.PIPELINE: gettext_lazy("another pipeline"),
    TriggerChannel.SCHEDULE: gettext_lazy("a schedule"),
}


def duration_words(duration: timedelta) -> str:
    """0.35 s, 12 s, 3 min 5 s, 2 h 10 min."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 10:
        return _in_seconds(f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return _in_seconds(whole)
    minutes, whole = divmod(whole, 60)
    if minutes < 60:
        return gettext("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": whole}
    hours, minutes = divmod(minutes, 60)
    return gettext("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}


def _in_seconds(seconds: float | str) -> str:
    return gettext("%(seconds)s s") % {"seconds": seconds}


def clock_words(moment: datetime, time_format: str = "H:i") -> str:
    """The time of day, with the day where that is not today: 09:12, 23 November 09:12."""
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localdate()
    return format_date(local, time_format if is_today else f"j F {time_format}")
