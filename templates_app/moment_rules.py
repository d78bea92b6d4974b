"""What else a type says of a day or a moment: a keyword of ours, for JSON Schema knows their form only."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from pydantic import TypeAdapter, ValidationError

from templates_app.durations import length_words
from zenweb.config.json_schema import LIMITS

# As a step's own types read them.
DATE, MOMENT, TIME, DURATION = (TypeAdapter[Any](kind) for kind in (date, datetime, time, timedelta))
OF_FORMAT = {"date": DATE, "date-time": MOMENT, "time": TIME, "duration": DURATION}

_BREAKS: Mapping[str, tuple[Callable[[Any, Any], bool], str | Promise]] = {
    "gt": (lambda moment, limit: moment <= limit, gettext_lazy("This must be after %(limit)s.")),
    "ge": (lambda moment, limit: moment < limit, gettext_lazy("This must not be before %(limit)s.")),
    "lt": (lambda moment, limit: moment >= limit, gettext_lazy("This must be before %(limit)s.")),
    "le": (lambda moment, limit: moment > limit, gettext_lazy("This must not be after %(limit)s.")),
}
_BREAKS_OF_LENGTH: Mapping[str, str | Promise] = {
    "gt": gettext_lazy("This must be more than %(limit)s."),
    "ge": gettext_lazy("This must be at least %(limit)s."),
    "lt": gettext_lazy("This must be less than %(limit)s."),
    "le": gettext_lazy("This must be at most %(limit)s."),
}
WORDS = {"zone": ("naive", "aware"), "now": ("past", "future")}


class MomentRules:
    """`{"zone": "naive", "now": "past", "ge": "2026-01-01"}`, as jsonschema-rs asks for it: complaints are ValueErrors.

    Limits may be times of day and lengths, too (`{"le": "PT1H"}`). What is none of these at all, its format says.
    """

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        if not isinstance(rules, dict) or not _are_rules(rules):
            raise ValueError(f"{rules!r} are no rules for days and moments")
        self.rules = rules
        self.kinds = kinds_of(parent.get("format") if isinstance(parent, dict) else None)

    def validate(self, instance: Any) -> None:
        moment = read_moment(instance, self.kinds) if isinstance(instance, str) else None
        if moment is None:
            return
        if isinstance(moment, datetime):
            self._check_zone(moment)
        if isinstance(moment, date):
            self._check_now(moment)
        for name in LIMITS:
            if (said := self.rules.get(name)) is not None:
                limit, (breaks, sentence) = read_moment(said, self.kinds), _BREAKS[name]
                if _kind(limit) is not _kind(moment):
                    return  # the format says so
                if breaks(*_comparable(moment, limit)):
                    raise ValueError(_sentence(name, sentence, said, limit))

    def _check_zone(self, moment: datetime) -> None:
        zone = self.rules.get("zone")
        if zone == "naive" and timezone.is_aware(moment):
            raise ValueError(gettext("This must not have a time zone: leave out “Z” or “+01:00” at the end."))
        if zone == "aware" and timezone.is_naive(moment):
            raise ValueError(gettext("This must have a time zone: add “Z” or “+01:00” at the end."))

    def _check_now(self, moment: date) -> None:
        asked = self.rules.get("now")
        if asked is None:
            return
        now = timezone.localtime() if isinstance(moment, datetime) else timezone.localdate()
        given, now = _comparable(moment, now)
        if asked == "past" and given >= now:
            raise ValueError(gettext("This must be in the past."))
        if asked == "future" and given <= now:
            raise ValueError(gettext("This must be in the future."))


def kinds_of(form: Any) -> tuple[TypeAdapter[Any], ...]:
    """What a text of this format is read as. What may be a day with a time is tried first: a time may be midnight."""
    return (OF_FORMAT[form],) if form in OF_FORMAT else (MOMENT, TIME, DURATION)


def read_moment(text: str, kinds: Iterable[TypeAdapter[Any]]) -> date | time | timedelta | None:
    """A day, a day with a time, a time of day or a length of time; None for what is none of these."""
    for kind in kinds:
        try:
            read: date | time | timedelta = kind.validate_python(text)
        except ValidationError:
            continue
        return read
    return None


def _kind(moment: Any) -> type:
    return next(kind for kind in (date, time, timedelta) if isinstance(moment, kind))


def _sentence(name: str, sentence: str | Promise, said: str, limit: Any) -> str:
    if isinstance(limit, timedelta):
        return str(_BREAKS_OF_LENGTH[name]) % {"limit": length_words(limit)}
    return str(sentence) % {"limit": said}


def _comparable(moment: Any, limit: Any) -> tuple[Any, Any]:
    """As pydantic compares: what the clocks say, where only one of two has a time zone; days, where one has no time."""
    if isinstance(limit, timedelta):
        return moment, limit
    if isinstance(moment, time) and isinstance(limit, time):
        has_zones = moment.tzinfo is not None and limit.tzinfo is not None
        return (moment, limit) if has_zones else (moment.replace(tzinfo=None), limit.replace(tzinfo=None))
    if not (isinstance(moment, datetime) and isinstance(limit, datetime)):
        return _day(moment), _day(limit)
    if timezone.is_aware(moment) != timezone.is_aware(limit):
        return moment.replace(tzinfo=None), limit.replace(tzinfo=None)
    return moment, limit


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _are_rules(rules: Mapping[str, Any]) -> bool:
    limits = [rules[name] for name in LIMITS if name in rules]
    return (
        not rules.keys() - {*WORDS, *LIMITS}
        and all(rules[name] in words for name, words in WORDS.items() if name in rules)
        and all(isinstance(limit, str) and read_moment(limit, kinds_of(None)) is not None for limit in limits)
    )
