"""Which control asks for which parameter: the first that matches."""

from templates_app.schema_forms.controls import Control
from templates_app.schema_forms.json_editor import JsonControl
from templates_app.schema_forms.lines import LinesControl
from templates_app.schema_forms.scalars import (
    CheckboxControl,
    ChoiceControl,
    DateControl,
    DateTimeControl,
    DecimalControl,
    IntegerControl,
    NumberControl,
    OptionalBooleanControl,
    SecretControl,
    TextControl,
)
from templates_app.schema_forms.schemas import Parameter

# The special before the general; what nothing fits gets the JSON editor.
CONTROLS: list[type[Control]] = [
    ChoiceControl,
    CheckboxControl,
    OptionalBooleanControl,
    IntegerControl,
    NumberControl,
    DecimalControl,
    DateControl,
    DateTimeControl,
    SecretControl,
    TextControl,
    LinesControl,
    JsonControl,
]


def control_for(parameter: Parameter) -> Control:
    return next(control for control in CONTROLS if control.matches(parameter))(parameter)
