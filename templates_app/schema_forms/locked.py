"""The control for a value that the template's owner has fixed: shown, not asked for."""

from collections.abc import Mapping
from typing import Any

from crispy_forms.layout import Layout
from django import forms
from django.utils.translation import gettext

from templates_app.schema_forms.controls import Occasion, SingleControl
from templates_app.schema_forms.schemas import Json, Parameter, read_json, to_json
from templates_app.schema_places import is_same
from zenweb.config.file_references import reference_in


class LockedControl(SingleControl):
    """What a form sends for it all the same is passed on, for the validator to refuse."""

    template = "templates_app/schema_form/locked.html"
    file_label = ""

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(parameter)
        self.fixed = parameter.schema.keywords["const"]
        self.is_silent = parameter.is_hidden  # type: ignore[misc]

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return parameter.is_locked

    def begin(self, value: Json, occasion: Occasion) -> None:
        reference = reference_in(self.fixed)
        if reference is not None and occasion.files is not None:
            found = occasion.files.find([reference.artifact_version])
            self.file_label = next((file.label for file in found.values()), "")

    def can_show(self, value: Json) -> bool:
        return is_same(value, self.fixed)

    @property
    def shown(self) -> str:
        """The value in a person's words."""
        words = {None: gettext("Not set"), True: gettext("Yes"), False: gettext("No")}
        if self.fixed is None or isinstance(self.fixed, bool):
            return words[self.fixed]
        schema = self.parameter.schema
        if isinstance(self.fixed, list) and all(isinstance(entry, str | int | float) for entry in self.fixed):
            return ", ".join(map(schema.items.label_for, self.fixed)) or gettext("None")
        if isinstance(self.fixed, str | int | float):
            return schema.label_for(self.fixed) or gettext("Empty")
        return self.file_label or self.to_text(self.fixed) or gettext("Empty")

    @property
    def facts(self) -> list[str]:
        return []

    def widget(self) -> forms.Widget:
        return forms.TextInput()

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        return self.fixed if self.is_silent else super().read(cleaned)

    def value(self, text: str | None) -> Json:
        return self.fixed if text is None or text == self.to_text(self.fixed) else self.parse(text)

    def parse(self, text: str) -> Json:
        try:
            return read_json(text)
        except ValueError:
            return text

    def to_text(self, value: Json) -> str:
        return value if isinstance(value, str) else to_json(value, indent=2)

    def fields(self) -> dict[str, forms.Field]:
        return {} if self.is_silent else super().fields()

    def initial(self, value: Json) -> dict[str, str]:
        return {}

    def layout(self) -> Any:
        return Layout() if self.is_silent else super().layout()
