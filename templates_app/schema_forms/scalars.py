"""Controls for one plain value: text, number, yes or no, one of several, date, date with time."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any

from crispy_forms.layout import Layout
from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import from_current_timezone
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext

from templates_app.schema_forms.controls import Occasion, SingleControl
from templates_app.schema_forms.schemas import MISSING, Json, Parameter, Schema, label_of, to_json
from templates_app.schema_forms.times import ClockInput
from templates_app.schema_forms.wording import describe_bounds, shortened
from templates_app.schema_places import is_same
from zenweb.config.json_schema import DECIMAL_RULES, MOMENT_RULES

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
DECIMAL_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
EMPTY_TEXT = '""'
MOST_OPTIONS = 100  # in a list to open; of more, one is found by a search
# What stands in tables that people bring along.
YES, NO = {"true", "on", "yes", "y", "1"}, {"false", "off", "no", "n", "0"}
PARAGRAPHS = {"textarea", "multiline", "markdown"}
LONG = 250  # characters
# Not `type="url"`: an address may have a scheme that browsers refuse, or none yet.
INPUTS = {
    "email": {"inputmode": "email", "autocapitalize": "off"},
    "uri": {"inputmode": "url", "autocapitalize": "off"},
}


class TextWidget(forms.TextInput):
    """One line, or as many as its text already has: a one-line input would silently join them."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        if isinstance(value, str) and "\n" in value:
            return forms.Textarea({**self.attrs, "rows": 4}).render(name, value, attrs, renderer)
        return super().render(name, value, attrs, renderer)


class TextControl(SingleControl):
    """Text. Where an empty input means "not set", `""` is the empty text."""

    shows_text = True

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string"

    def widget(self) -> forms.Widget:
        # Not `autocomplete="off"`: browsers would then not bring back what was typed when one goes back.
        schema, asked = self.parameter.schema, self.parameter.hints.get("widget")
        may_be_long = schema.format not in INPUTS and (schema.number("maxLength") or 0) > LONG
        is_long = schema.format in PARAGRAPHS or may_be_long
        if asked == "paragraph" or (is_long and asked != "line"):
            return forms.Textarea(attrs={"rows": 4})
        if schema.format == "color" and self._is_colour(self.parameter.default):
            return forms.TextInput(attrs={"type": "color", "class": "form-control-color"})
        return TextWidget(attrs={"spellcheck": "false", **INPUTS.get(schema.format, {})})

    def _is_colour(self, value: Json) -> bool:
        """Whether the browser's own input can show it: it has no "not set"."""
        return not self.parameter.is_optional and bool(re.fullmatch("#[0-9a-f]{6}", str(value)))

    def parse(self, text: str) -> Json:
        return "" if text == EMPTY_TEXT and self.blank_is_special else text

    def to_text(self, value: Json) -> str:
        if value is None:
            return ""
        return EMPTY_TEXT if value == "" and self.blank_is_special else label_of(value)

    def blank(self, text: str) -> Json:
        return super().blank(text) if self.blank_is_special else text

    @property
    def empty_hint(self) -> str:
        schema = self.parameter.schema
        is_allowed = not (schema.number("minLength") or schema.text("pattern") or schema.format)
        return (
            gettext("For an empty text enter %(empty_text)s") % {"empty_text": EMPTY_TEXT}
            if is_allowed
            else ""
        )

    @property
    def blank_is_special(self) -> bool:
        return self.parameter.is_optional or not self.parameter.has_default


class SecretControl(TextControl):
    """A text that is never sent to the browser, neither as a default nor after an error.

    So it would be lost without a word where it was typed into a form that was refused, or given to the run that the
    form starts from: it then has to be typed again, unless one says that something else is meant.
    """

    template = "templates_app/schema_form/secret.html"
    again = gettext_lazy("Type it again: secrets are not kept.")
    is_expected = False
    has_former = False
    is_declined = False

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string" and parameter.is_secret

    def begin(self, value: Json, occasion: Occasion) -> None:
        was_given = value is not MISSING and value is not None and value != self.parameter.default
        self.has_former = occasion.keeps_values and was_given
        if occasion.data is None:
            self.is_expected = was_given and not occasion.keeps_values
        else:
            sent = (self.expected_name, self.parameter.field_name)
            self.is_expected = any(map(occasion.was_sent, sent))
            self.is_declined = bool(self.alternative and occasion.was_sent(self.declined_name))

    def widget(self) -> forms.Widget:
        return forms.PasswordInput(attrs={"autocomplete": "new-password"})

    @property
    def expected_name(self) -> str:
        """The input that says, once the form is sent again, that there was a secret."""
        return f"expected.{self.parameter.field_name}"

    @property
    def declined_name(self) -> str:
        """The checkbox for going without."""
        return f"declined.{self.parameter.field_name}"

    @property
    def alternative(self) -> str:
        """What one may have instead of typing it again."""
        if self.has_former:
            return gettext("Keep the one that the run had")
        if self.parameter.is_required:
            return ""
        return gettext("Leave it unset") if self.parameter.is_optional else gettext("Use the default instead")

    @property
    def is_required(self) -> bool:
        return bool(self.note) or (super().is_required and not self.has_former)

    @property
    def empty_hint(self) -> str:
        return ""

    @property
    def note(self) -> str:  # type: ignore[override]
        return str(self.again) if self.is_expected and not self.is_declined else ""

    @property
    def blank_hint(self) -> str:
        if self.is_expected:
            return ""
        if self.has_former:
            return gettext("Leave empty to keep the one that the run had")
        if self.parameter.is_required or self.parameter.is_optional:
            return super().blank_hint
        return gettext("Leave empty to use the default")

    def value(self, text: str | None) -> Json:
        if not text and self.is_expected and not self.is_declined:
            raise ValidationError(
                gettext("%(again)s Or tick “%(alternative)s”.")
                % {"again": self.again, "alternative": self.alternative}
                if self.alternative
                else self.again
            )
        return super().value(text)

    def to_text(self, value: Json) -> str:
        return ""

    def unchanged(self) -> Json:
        return MISSING


class NumberControl(SingleControl):
    """A number with decimals. The input is text, so that whatever was typed comes back beside its error."""

    blank_message = gettext_lazy("Enter a number.")
    shows_text = True
    keyboard = "decimal"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "number"

    def widget(self) -> forms.Widget:
        # The keyboards of phones for numbers have no minus.
        return forms.TextInput(attrs={"inputmode": self.keyboard} if self._is_never_negative() else {})

    def parse(self, text: str) -> Json:
        text = text.strip()
        if DECIMAL_NUMBER.fullmatch(text):
            number = float(text)
            if abs(number) == float("inf"):
                raise ValidationError(gettext("This number is too large."))
            return number
        if DECIMAL_NUMBER.fullmatch(text.replace(",", ".", 1)):
            raise ValidationError(
                gettext("Enter a number with a point, such as %(number)s.")
                % {"number": text.replace(",", ".", 1)}
            )
        raise ValidationError(self.blank_message)

    def to_text(self, value: Json) -> str:
        return "" if value is None else label_of(value)

    def _is_never_negative(self) -> bool:
        low, above = self.bounds.number("minimum"), self.bounds.number("exclusiveMinimum")
        return (low is not None and low >= 0) or (above is not None and above >= 0)

    @property
    def bounds(self) -> Schema:
        """The schema that says how large it may be."""
        return self.parameter.schema


class DecimalControl(NumberControl):
    """A decimal number, sent as the text that was typed: money keeps its cents."""

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        schema = parameter.schema
        return any(DECIMAL_RULES in branch.keywords for branch in (schema, *schema.branches()))

    def parse(self, text: str) -> Json:
        super().parse(text)
        return text.strip()

    def hint(self) -> str:
        digits, places = self._rules.get("max_digits"), self._rules.get("decimal_places")
        phrases = [describe_bounds(self.bounds)]
        if digits is not None:
            words = ngettext("at most %(digits)s digit", "at most %(digits)s digits", int(digits))
            phrases.append(words % {"digits": digits})
        if places is not None:
            words = ngettext(
                "at most %(places)s digit after the point",
                "at most %(places)s digits after the point",
                int(places),
            )
            phrases.append(words % {"places": places})
        phrase = ", ".join(filter(None, phrases))
        return phrase[:1].upper() + phrase[1:]

    @property
    def bounds(self) -> Schema:
        schema = self.parameter.schema
        found = next((branch for branch in schema.branches() if branch.type == "number"), schema)
        return Schema({"unit": schema.text("unit"), **found.keywords}, schema.root)

    @property
    def _rules(self) -> Mapping[str, Json]:
        branches = [self.parameter.schema, *self.parameter.schema.branches()]
        found = (branch.keywords.get(DECIMAL_RULES) for branch in branches)
        return next((rules for rules in found if isinstance(rules, Mapping)), {})


class IntegerControl(NumberControl):
    """A whole number."""

    blank_message = gettext_lazy("Enter a whole number.")
    keyboard = "numeric"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "integer"

    def parse(self, text: str) -> Json:
        if not WHOLE_NUMBER.fullmatch(text.strip()):
            raise ValidationError(self.blank_message)
        try:
            return int(text)
        except ValueError:  # Python's own limit on digits
            raise ValidationError(gettext("This number is too large.")) from None

    def to_text(self, value: Json) -> str:
        return str(int(value)) if isinstance(value, float) and value.is_integer() else super().to_text(value)


class CheckboxWidget(forms.CheckboxInput):
    """A checkbox that also sends its "no", so that an absent input stays "not said"."""

    template_name = "templates_app/schema_form/checkbox.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return data.get(name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


class CheckboxControl(SingleControl):
    """Yes or no."""

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "boolean" and not parameter.is_optional

    def widget(self) -> forms.Widget:
        return CheckboxWidget(check_test=lambda value: str(value) in {"true", "on"})

    def can_show(self, value: Json) -> bool:
        return isinstance(value, bool)

    @property
    def default_hint(self) -> str:
        return (
            {True: gettext("on"), False: gettext("off")}.get(self.parameter.default, "")
            if self.parameter.has_default
            else ""
        )

    def parse(self, text: str) -> Json:
        word = text.strip().lower()
        if word not in YES | NO:
            raise ValidationError(gettext("Write yes or no."))
        return word in YES

    def blank(self, text: str) -> Json:
        return False

    def to_text(self, value: Json) -> str:
        return label_of(value)


class ConstantControl(SingleControl):
    """The only value there may be: nothing to ask."""

    is_silent = True

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return "const" in parameter.schema.keywords and not parameter.is_optional

    def can_show(self, value: Json) -> bool:
        return is_same(value, self.parameter.schema.keywords["const"])

    def fields(self) -> dict[str, forms.Field]:
        return {}

    def initial(self, value: Json) -> dict[str, str]:
        return {}

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        return self.parameter.schema.keywords["const"]

    def layout(self) -> Any:
        return Layout()

    def widget(self) -> forms.Widget:
        return forms.HiddenInput()

    def parse(self, text: str) -> Json:
        return self.parameter.schema.keywords["const"]

    def to_text(self, value: Json) -> str:
        return label_of(self.parameter.schema.keywords["const"])


class RadioWidget(forms.RadioSelect):
    """All choices at once."""

    template_name = "templates_app/schema_form/radios.html"


class ChoiceControl(SingleControl):
    """One of the values that the schema lists, whatever their types."""

    blank_message = gettext_lazy("Choose one of the listed values.")
    unlisted = ""
    """The text of what it starts from, or what was sent, where that is none of them: it stays until one is chosen."""
    is_empty = False
    """Whether it starts from a "not set" that there is not."""

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return bool(parameter.schema.choices())

    def begin(self, value: Json, occasion: Occasion) -> None:
        sent = occasion.was_sent(self.parameter.field_name)
        if sent is not None:
            self.unlisted = sent if sent not in self._by_key else ""
        elif value is MISSING or self.to_text(value) or is_same(value, self.parameter.default):
            return
        elif value is None:
            self.is_empty = not self.parameter.is_optional
        else:
            text = label_of(value)
            self.unlisted = to_json(value) if text in self._by_key else text

    def initial(self, value: Json) -> dict[str, str]:
        return {self.parameter.field_name: self.unlisted} if self.unlisted else super().initial(value)

    def choices(self) -> list[tuple[Json, str]]:
        return self.parameter.schema.choices()

    def widget(self) -> forms.Widget:
        if self.parameter.hints.get("widget") == "radio":
            none = [("", gettext("Not set"))] if self.parameter.is_optional else []
            return RadioWidget(choices=[*none, *self._unlisted_option(), *self.options()])
        return forms.Select(choices=[*self._blank_option(), *self._unlisted_option(), *self.options()])

    def options(self) -> list[tuple[str, str]]:
        """What each option sends, and what it is called."""
        return [(key, label) for key, (_, label) in self._by_key.items()]

    def parse(self, text: str) -> Json:
        if (choice := self._by_key.get(text)) is None:
            raise ValidationError(self.blank_message)
        return choice[0]

    def to_text(self, value: Json) -> str:
        return self._keys.get(to_json(value), "")

    def text_along(self, text: str) -> Json:
        return text if text == self.unlisted else MISSING

    @property
    def note(self) -> str:  # type: ignore[override]
        if not self.unlisted:
            return ""
        return gettext("“%(label)s” is not offered: choose another.") % {"label": shortened(self.unlisted)}

    @property
    def blank_hint(self) -> str:
        return ""

    @property
    def default_hint(self) -> str:
        label = self._by_key.get(self.to_text(self.parameter.default)) if self.parameter.has_default else None
        return label[1] if label else ""

    @cached_property
    def _by_key(self) -> dict[str, tuple[Json, str]]:
        """The choices by what the option sends: a text as it is, unless another type's value reads the same."""
        choices = self.choices()
        plain = {label_of(value): (value, label) for value, label in choices}
        if len(plain) == len(choices) and "" not in plain:
            return plain
        return {to_json(value): (value, label) for value, label in choices}

    @cached_property
    def _keys(self) -> dict[str, str]:
        """What the options send, by their values as JSON."""
        return {to_json(value): key for key, (value, _) in reversed(self._by_key.items())}

    def _unlisted_option(self) -> list[tuple[str, str]]:
        if not self.unlisted:
            return []
        return [
            (self.unlisted, gettext("%(label)s (not offered)") % {"label": shortened(self.unlisted)}),
        ]

    def _blank_option(self) -> list[tuple[str, str]]:
        if self.parameter.is_optional:
            return [("", gettext("Not set"))]
        # Where nothing is chosen, a browser would choose the first one on its own.
        has_start = self.parameter.has_default and self.to_text(self.parameter.default) != ""
        return [] if has_start and not self.is_empty else [("", gettext("Choose…"))]


class OptionalBooleanControl(ChoiceControl):
    """Yes, no, or not set."""

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "boolean" and parameter.is_optional

    def choices(self) -> list[tuple[Json, str]]:
        return [(True, gettext("Yes")), (False, gettext("No"))]


class DateControl(SingleControl):
    """A day."""

    blank_message = gettext_lazy("Enter a date, such as 2026-01-31.")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string" and parameter.schema.format == "date"

    def widget(self) -> forms.Widget:
        return forms.DateInput(attrs={"type": "date"})

    def parse(self, text: str) -> Json:
        return self._day(text.strip()).isoformat()

    def to_text(self, value: Json) -> str:
        """The browser's input drops a day that is written with its midnight."""
        return "" if value is None else re.sub(r"[T ][0:]+Z?$", "", label_of(value))

    def _day(self, text: str) -> date:
        try:
            day = parse_date(text)
        except ValueError:
            raise ValidationError(gettext("There is no such day.")) from None
        if day is None:
            raise ValidationError(self.blank_message)
        return day


class DateTimeControl(SingleControl):
    """A moment: asked for in the server's time zone, passed on with its offset."""

    blank_message = gettext_lazy("Enter a date and time, such as 2026-01-31T14:30.")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.schema.type == "string" and parameter.schema.format == "date-time"

    def widget(self) -> forms.Widget:
        return ClockInput(attrs={"type": "datetime-local", "step": "any"})

    def hint(self) -> str:
        return ", ".join(filter(None, [str(self.zone_hint), super().hint()]))

    @property
    def zone_hint(self) -> str | Promise:
        return gettext("Time zone: %(zone)s") % {"zone": timezone.get_current_timezone_name()}

    def parse(self, text: str) -> Json:
        return self._moment(text.strip()).isoformat()

    def to_text(self, value: Json) -> str:
        if value is None:
            return ""
        try:
            moment = self._moment(str(value))
            local = timezone.make_naive(moment)
        except (ValidationError, OverflowError):
            return label_of(value)
        # An input of this type holds no more than milliseconds: with more it is a text, see ClockInput.
        if local.microsecond % 1000:
            return timezone.localtime(moment).isoformat()
        return local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")

    def is_same(self, text: str, initial: str) -> bool:
        """Browsers write the same moment in their own way."""
        try:
            return text == initial or self._moment(text) == self._moment(initial)
        except ValidationError:
            return False

    def unchanged(self) -> Json:
        """A default without an offset is left out: the step then gets its own default, not a moment we made of it."""
        default = super().unchanged()
        has_offset = isinstance(default, str) and re.search(r"(Z|[+-]\d\d:?\d\d)$", default)
        return default if has_offset or default is None else MISSING

    def _moment(self, text: str) -> datetime:
        moment = _read_moment(text)
        # Refuses the hours a change of clocks skips or repeats.
        return from_current_timezone(moment) if timezone.is_naive(moment) else moment


class LocalDateTimeControl(DateTimeControl):
    """What clocks on a wall say (`NaiveDatetime`): passed on as it was typed, without an offset."""

    zone_hint = gettext_lazy("Without a time zone")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        rules = parameter.schema.keywords.get(MOMENT_RULES)
        is_local = isinstance(rules, Mapping) and rules.get("zone") == "naive"
        return is_local and super().matches(parameter)

    def to_text(self, value: Json) -> str:
        return "" if value is None else label_of(value)

    def unchanged(self) -> Json:
        return SingleControl.unchanged(self)

    def _moment(self, text: str) -> datetime:
        return _read_moment(text)


def _read_moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        raise ValidationError(gettext("There is no such date and time.")) from None
    if moment is None:
        raise ValidationError(DateTimeControl.blank_message)
    return moment
