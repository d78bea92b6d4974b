"""Controls for times of day and durations."""

import re
from datetime import time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_time
from django.utils.translation import gettext, gettext_lazy

from templates_app.durations import length_words
from templates_app.moment_rules import DURATION
from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.schemas import Json, Parameter, label_of
from templates_app.schema_forms.wording import moment_bounds

UNITS = {
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("h", "hour", "hours"), 3_600),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("ms",), 0.001),
}
PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)")


class ClockInput(forms.TextInput):
    """The browser's own input; a text for a value that it would drop, since it knows no offset and no microseconds."""

    HELD = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)?[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?")

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        if value and not self.HELD.fullmatch(str(value)):
            context["widget"]["type"] = "text"
            context["widget"]["attrs"].pop("step", None)
        return context


class TimeControl(SingleControl):
    """A time of day. One with an offset is text: browsers have no input for it."""

    blank_message = gettext_lazy("Enter a time, such as 14:30.")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string" and parameter.schema.format == "time"

    def widget(self) -> forms.Widget:
        is_local = not re.search(r"Z|[+-]\d\d:?\d\d$", str(self.parameter.default or ""))
        return ClockInput(attrs={"type": "time", "step": "any"}) if is_local else forms.TextInput()

    def parse(self, text: str) -> Json:
        text = text.strip()
        try:
            moment = time.fromisoformat(text) if ":" in text else parse_time(text)
        except ValueError:
            moment = None
        if moment is None:
            raise ValidationError(self.blank_message)
        return moment.isoformat()

    def to_text(self, value: Json) -> str:
        return "" if value is None else label_of(value)


class DurationControl(SingleControl):
    """A length of time, as people write it: 1 h 30 min."""

    blank_message = gettext_lazy("Enter a duration, such as 1 h 30 min, 45 s or 2 d.")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string" and parameter.schema.format == "duration"

    def widget(self) -> forms.Widget:
        return forms.TextInput()

    def hint(self) -> str:
        limits = [limit[:1].lower() + limit[1:] for limit in moment_bounds(self.parameter.schema)]
        return ", ".join([gettext("Such as 1 h 30 min"), *limits])

    def parse(self, text: str) -> Json:
        text = text.strip()
        if (length := _length(text)) is None:
            raise ValidationError(self.blank_message)
        return text if text.upper().lstrip("-+").startswith("P") else _iso(length)

    def to_text(self, value: Json) -> str:
        return "" if value is None else duration_words(str(value)) or label_of(value)

    def is_same(self, text: str, initial: str) -> bool:
        return text == initial or (_length(text) is not None and _length(text) == _length(initial))


def duration_words(text: str) -> str:
    """A duration as people write it; "" for a text that is none."""
    length = _length(text)
    return "" if length is None else length_words(length)


def _length(text: str) -> timedelta | None:
    try:
        if text.upper().lstrip("-+").startswith("P") or ":" in text:
            length: timedelta = DURATION.validate_python(text)
            return length
        sign = -1 if text.startswith("-") else 1
        rest = text.lstrip("-+").lower()
        parts = PART.findall(rest)
        if not parts or PART.sub("", rest).strip(" ,"):
            return None
        return sign * timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))
    except (KeyError, OverflowError, ValueError):
        return None


def _iso(length: timedelta) -> str:
    sign, length = ("-", -length) if length < timedelta(0) else ("", length)
    seconds = length.seconds + length.microseconds / 1e6
    text = f"{seconds:f}".rstrip("0").rstrip(".")
    days = f"{length.days}D" if length.days else ""
    return f"{sign}P{days}" + (f"T{text}S" if seconds or not days else "")
