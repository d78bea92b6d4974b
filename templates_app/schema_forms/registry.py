"""Which control asks for which parameter: the first that matches."""

from templates_app.schema_forms.composites import GroupControl, TupleControl
from templates_app.schema_forms.controls import Control
from templates_app.schema_forms.file_input import FileControl
from templates_app.schema_forms.json_editor import JsonControl
from templates_app.schema_forms.lines import LinesControl
from templates_app.schema_forms.locked import LockedControl
from templates_app.schema_forms.multiple import MultipleChoiceControl
from templates_app.schema_forms.offered import ListedControl, OfferedControl
from templates_app.schema_forms.rows import DictControl, ListControl
from templates_app.schema_forms.scalars import (
    CheckboxControl,
    ChoiceControl,
    ConstantControl,
    DateControl,
    DateTimeControl,
    DecimalControl,
    IntegerControl,
    LocalDateTimeControl,
    NumberControl,
    OptionalBooleanControl,
    SecretControl,
    TextControl,
)
from templates_app.schema_forms.schemas import Parameter
from templates_app.schema_forms.times import DurationControl, TimeControl
from templates_app.schema_forms.unions import UnionControl

# The special before the general; what nothing fits gets the JSON editor.
CONTROLS: list[type[Control]] = [
    LockedControl,
    FileControl,
    OfferedControl,
    ConstantControl,
    ListedControl,
    ChoiceControl,
    CheckboxControl,
    OptionalBooleanControl,
    IntegerControl,
    NumberControl,
    DecimalControl,
    DateControl,
    LocalDateTimeControl,
    DateTimeControl,
    TimeControl,
    DurationControl,
    SecretControl,
    TextControl,
    LinesControl,
    MultipleChoiceControl,
    UnionControl,
    TupleControl,
    GroupControl,
    DictControl,
    ListControl,
    JsonControl,
]
MOST_CONTROLS = 1_000  # in one form, and how deep: a schema may go on for ever
DEEPEST = 24  # names in a path


def control_for(parameter: Parameter) -> Control:
    return next(control for control in CONTROLS if control.matches(parameter))(parameter)


class Supply:
    """The controls of one form. What goes beyond every measure gets the JSON editor."""

    def __init__(self) -> None:
        self._left = MOST_CONTROLS

    def control_for(self, parameter: Parameter) -> Control:
        self._left -= 1
        if len(parameter.schema.properties()) > self._left or self._left < 0 or len(parameter.path) > DEEPEST:
            return JsonControl(parameter)
        return control_for(parameter)
