"""The control for several of the values that a schema lists."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from templates_app.schema_forms.controls import Occasion, SingleControl
from templates_app.schema_forms.rows import ListControl
from templates_app.schema_forms.scalars import ChoiceControl
from templates_app.schema_forms.schemas import MISSING, Json, Parameter, to_json


class CheckboxesWidget(forms.CheckboxSelectMultiple):
    """Checkboxes that also say that they were there, so that none ticked is an empty list."""

    template_name = "templates_app/schema_form/checkboxes.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if name not in data:
            return None
        texts = data.getlist(name) if hasattr(data, "getlist") else data[name]
        texts = [texts] if isinstance(texts, str) else texts
        return [text for text in texts if text != ""]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


MOST_BOXES = 30


class MultipleChoiceControl(SingleControl):
    """Any of the listed values, each once, in the order of the list. A value that this cannot say gets rows."""

    is_wide = True

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        schema = parameter.schema
        if schema.type != "array" or schema.prefix_items() or parameter.is_optional:
            return False
        return 0 < len(schema.items.choices()) <= MOST_BOXES and not schema.items.is_nullable

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(parameter)
        self._rows: ListControl | None = None
        self._options = ChoiceControl(
            Parameter(parameter.name, parameter.path, parameter.schema.items, "", "", is_required=True)
        )

    def begin(self, value: Json, occasion: Occasion) -> None:
        rows = ListControl(self.parameter)
        are_shown = occasion.was_sent(rows.marker_name) is not None if occasion.data is not None else False
        if are_shown or (occasion.data is None and not self._can_say(value)):
            rows.begin(value, occasion)
            self._rows = rows

    def _can_say(self, value: Json) -> bool:
        if not isinstance(value, list):
            return True
        if self.parameter.schema.keywords.get("uniqueItems") is True:
            return all(self._options.to_text(one) for one in value)
        options = [key for key, _ in self._options.options()]
        return [self._options.to_text(one) for one in value] == [
            key for key in options if key in map(self._options.to_text, value)
        ]

    def fields(self) -> dict[str, forms.Field]:
        return self._rows.fields() if self._rows else super().fields()

    def widget(self) -> forms.Widget:
        return CheckboxesWidget(choices=self._options.options())

    def initial(self, value: Json) -> dict[str, Any]:
        if self._rows:
            return self._rows.initial(value)
        values = value if isinstance(value, list) else []
        return {self.parameter.field_name: [self._options.to_text(one) for one in values]}

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        return self._rows.read(cleaned) if self._rows else super().read(cleaned)

    def value(self, text: Any) -> Json:
        if text is None:
            return MISSING
        chosen = [self._options.parse(one) for one in text]
        if not chosen and not self.parameter.has_default and not self.parameter.is_required:
            return MISSING
        return self._in_the_defaults_order(chosen)

    def _in_the_defaults_order(self, chosen: list[Json]) -> list[Json]:
        """Of a set, whose order means nothing, the default stays as it was."""
        default = self.parameter.default
        is_same = isinstance(default, list) and sorted(map(to_json, chosen)) == sorted(map(to_json, default))
        return default if is_same else chosen

    def parse(self, text: str) -> Json:
        raise ValidationError(str(self.blank_message))

    def to_text(self, value: Json) -> str:
        labels = dict(self._options.options())
        values = value if isinstance(value, list) else []
        return ", ".join(labels.get(self._options.to_text(one), to_json(one)) for one in values)

    @property
    def is_required(self) -> bool:
        return super().is_required and not self.parameter.may_be_empty

    @property
    def blank_hint(self) -> str:
        means_none = self.parameter.is_required and self.parameter.may_be_empty
        return gettext("Tick nothing for “none”") if means_none else ""

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        return self._rows.locate(rest) if self._rows else (self.parameter.field_name, "")

    def layout(self) -> Any:
        return self._rows.layout() if self._rows else super().layout()
