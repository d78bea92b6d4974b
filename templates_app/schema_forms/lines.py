"""The control for a list of plain values: one per line."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.scalars import (
    PARAGRAPHS,
    DecimalControl,
    IntegerControl,
    NumberControl,
    TextControl,
)
from templates_app.schema_forms.schemas import Json, Parameter, read_json, to_json

ITEM_CONTROLS: list[type[SingleControl]] = [DecimalControl, TextControl, IntegerControl, NumberControl]


# These have inputs of their own, each in a row.
PICKED = {"date", "date-time", "time", "duration", "color", "password", *PARAGRAPHS}


class LinesControl(SingleControl):
    """Texts or numbers, one per line. A list that lines cannot say (an entry with a line break) appears as JSON."""

    is_wide = True

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(parameter)
        entry = _entry_of(parameter)
        self.entry = next(control(entry) for control in ITEM_CONTROLS if control.matches(entry))

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        if parameter.schema.type != "array" or "prefixItems" in parameter.schema.keywords:
            return False
        entry = _entry_of(parameter)
        is_plain = not (entry.is_optional or entry.schema.choices() or entry.schema.format in PICKED)
        return is_plain and any(control.matches(entry) for control in ITEM_CONTROLS)

    def widget(self) -> forms.Widget:
        return forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "data-lines": ""})

    def hint(self) -> str:
        each = self.entry.hint()
        return ". ".join(
            filter(
                None,
                [
                    gettext("One per line"),
                    super().hint(),
                    gettext("Each: %(limits)s") % {"limits": f"{each[:1].lower()}{each[1:]}"} if each else "",
                ],
            )
        )

    @property
    def empty_hint(self) -> str:
        return "" if self.parameter.schema.number("minItems") else gettext("For an empty list enter []")

    def parse(self, text: str) -> Json:
        if (listed := self._read_json(text)) is not None:
            return listed
        return [
            self._parse_line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()
        ]

    def blank(self, text: str) -> Json:
        return super().blank(text) if self.parameter.is_optional or not self.parameter.has_default else []

    def to_text(self, value: Json) -> str:
        if value is None:
            return ""
        if not isinstance(value, list):
            return to_json(value)
        text = "\n".join(self.entry.to_text(entry) for entry in value)
        return text if self._reads_back(text, value) else to_json(value)

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        number = int(rest[0]) + 1 if rest and rest[0].isdecimal() else None
        return self.parameter.field_name, gettext("Entry %(number)s: ") % {"number": number} if number else ""

    def _parse_line(self, number: int, line: str) -> Json:
        try:
            return self.entry.parse(line)
        except ValidationError as error:
            raise ValidationError(
                gettext("Line %(number)s: %(error)s") % {"number": number, "error": error.messages[0]}
            ) from None

    def _read_json(self, text: str) -> list[Json] | None:
        if not text.lstrip().startswith("["):
            return None
        try:
            value = read_json(text)
        except ValueError:
            return None
        return value if isinstance(value, list) else None

    def _reads_back(self, text: str, value: list[Json]) -> bool:
        try:
            return bool((self.parse(text) if text.strip() else self.blank(text)) == value)
        except ValidationError:
            return False


def _entry_of(parameter: Parameter) -> Parameter:
    schema = parameter.schema.items
    return Parameter(name="", path=(*parameter.path, ""), schema=schema, title="", description="")
