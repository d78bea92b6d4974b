"""The control for everything else: JSON as text, checked against its schema by the validator."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.schemas import MISSING, Json, Parameter, read_json, to_json
from templates_app.schema_places import HIDDEN, replace_secrets
from templates_app.schema_validation import standalone

SHORT = 60
KINDS = {"object": gettext_lazy("A JSON object"), "array": gettext_lazy("A JSON list")}


class JsonControl(SingleControl):
    """Fits every schema, so that none breaks the page."""

    is_wide = True
    blank_message = gettext_lazy("Enter a JSON value.")

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return True

    def can_show(self, value: Json) -> bool:
        return True

    def widget(self) -> forms.Widget:
        return forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "class": "font-monospace", "data-json": ""}
        )

    def hint(self) -> str:
        kind = KINDS.get(self.parameter.schema.type, gettext("A JSON value (a text stands in double quotes)"))
        return ". ".join(filter(None, [str(kind), super().hint()]))

    def initial(self, value: Json) -> dict[str, str]:
        schema = standalone(self.parameter.schema.keywords, self.parameter.schema.root)
        return super().initial(
            value if value is MISSING else replace_secrets(schema, value, lambda _: HIDDEN)
        )

    def parse(self, text: str) -> Json:
        try:
            return read_json(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def to_text(self, value: Json) -> str:
        if value is None and self.parameter.is_optional:
            return ""
        text = to_json(value)
        return text if len(text) <= SHORT else to_json(value, indent=2)

    def schema_text(self) -> str:
        """The schema itself, for those who read such things."""
        return to_json(dict(self.parameter.schema.keywords), indent=2)
