"""What else a type says of a day or a moment: a keyword of ours, for JSON Schema knows their form only."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from zenweb.config.json_schema import LIMITS

_BREAKS: Mapping[str, tuple[Callable[[Any, Any], bool], str | Promise]] = {
    "gt": (lambda moment, limit: moment <= limit, gettext_lazy("This must be after %(limit)s.")),
    "ge": (lambda moment, limit: moment < limit, gettext_lazy("This must not be before %(limit)s.")),
    "lt": (lambda moment, limit: moment >= limit, gettext_lazy("This must be before %(limit)s.")),
    "le": (lambda moment, limit: moment > limit, gettext_lazy("This must not be after %(limit)s.")),
}
WORDS = {"zone": ("naive", "aware"), "now": ("past", "future")}


class MomentRules:
    """`{"zone": "naive", "now": "past", "ge": "2026-01-01"}`, as jsonschema-rs asks for it: complaints are ValueErrors.

    What is no date at all, its format says.
    """

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        if not isinstance(rules, dict) or not _are_rules(rules):
            raise ValueError(f"{rules!r} are no rules for days and moments")
        self.rules = rules

    def validate(self, instance: Any) -> None:
        moment = read_moment(instance) if isinstance(instance, str) else None
        if moment is None:
            return
        if isinstance(moment, datetime):
            self._check_zone(moment)
        self._check_now(moment)
        for name in LIMITS:
            if (limit := self.rules.get(name)) is not None:
                breaks, sentence = _BREAKS[name]
                if breaks(*_comparable(moment, read_moment(limit))):
                    raise ValueError(str(sentence) % {"limit": limit})

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


def read_moment(text: str) -> date | None:
    """A day, or a day with a time; None for what is neither."""
    for kind in (date, datetime):
        try:
            return kind.fromisoformat(text)
        except ValueError:
            continue
    return None


def _comparable(moment: Any, limit: Any) -> tuple[Any, Any]:
    """As pydantic compares: what the clocks say, where only one of two has a time zone; days, where one has no time."""
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
        and all(isinstance(limit, str) and read_moment(limit) is not None for limit in limits)
    )
