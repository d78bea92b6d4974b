"""What the owner of a template fills in about one parameter: texts in, a part of a curation out, and back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext, gettext_lazy

from templates_app.curated_schema import (
    NUMBERS,
    SECRET_BOUNDS,
    TEXTS,
    Schema,
    fitting_widgets,
    kind_of,
    name_of,
    parameters_of,
    parts_of,
    takes,
)
from templates_app.curation import ParameterCuration
from templates_app.schema_forms.controls import SingleControl
from templates_app.schema_forms.json_editor import JsonControl
from templates_app.schema_forms.registry import control_for
from templates_app.schema_forms.scalars import (
    MOST_OPTIONS,
    CheckboxControl,
    ChoiceControl,
    DateControl,
    NumberControl,
    TextControl,
)
from templates_app.schema_forms.schemas import MISSING, Parameter, read_json, read_steps, to_json
from templates_app.schema_forms.times import DurationControl, TimeControl
from templates_app.schema_forms.wording import describe_bounds

PLAIN = ("label", "help", "placeholder", "widget", "pattern", "unless")
BOUND_WORDS = {
    "minimum": gettext_lazy("At least"),
    "exclusive_minimum": gettext_lazy("More than"),
    "maximum": gettext_lazy("At most"),
    "exclusive_maximum": gettext_lazy("Less than"),
    "multiple_of": gettext_lazy("In steps of"),
    "min_length": gettext_lazy("At least so many characters"),
    "max_length": gettext_lazy("At most so many characters"),
    "pattern": gettext_lazy("Pattern (a regular expression)"),
}
WIDGET_WORDS = {
    "line": gettext_lazy("One line"),
    "paragraph": gettext_lazy("Several lines"),
    "select": gettext_lazy("A list to open"),
    "radio": gettext_lazy("All to be seen"),
}
# A date with a time is left to JSON: an input of the browser would take its zone away.
ONE_TEXT = (
    TextControl,
    NumberControl,
    ChoiceControl,
    CheckboxControl,
    DateControl,
    TimeControl,
    DurationControl,
)


@dataclass
class Input:
    """One input of a card."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    rows: int = 0
    """Of a text with several lines."""
    errors: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"id_{self.name}"


@dataclass
class Card:
    """One parameter, as the pipeline has it, with what the owner says about it."""

    key: str
    parameter: Parameter
    step: str
    """Its step's title."""
    texts: dict[str, str]
    parts: Sequence[dict[str, Any]]
    choices: list[str] = field(default_factory=list)
    """The listed values that are left to choose, as the options send them."""
    errors: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Without its default: what is typed here is meant, also where it says the same.
        asked = replace(self.parameter, default=MISSING, is_required=True)
        control = control_for(asked)
        is_plain = isinstance(control, ONE_TEXT) and not self.parameter.is_secret
        self.control: SingleControl = control if is_plain else JsonControl(asked)  # type: ignore[assignment]

    @property
    def id(self) -> str:
        return f"card-{self.key}"

    @property
    def title(self) -> str:
        return self.texts.get("label") or self.parameter.title

    @property
    def facts(self) -> str:
        """What the pipeline says about it."""
        default = self.default_words
        parts = [
            describe_bounds(self.parameter.schema),
            gettext("Default: %(value)s") % {"value": default} if default else gettext("No default"),
        ]
        return " · ".join(filter(None, parts))

    @property
    def default_words(self) -> str:
        if self.parameter.is_secret:
            return gettext("secret") if self.parameter.has_default else ""
        default = self.parameter.default
        if default is MISSING:
            return ""
        if default is None:
            return gettext("not set")
        return self.control.to_text(default)[:60] or '""'

    @property
    def marks(self) -> list[str]:
        """What is to be seen of a closed card."""
        bounds = any(self.texts.get(name) for name in (*NUMBERS, *TEXTS)) or self.is_choice_narrowed
        is_fixed = self.is_on("locked")
        starts_elsewhere = not is_fixed and bool(self.texts.get("value") or self.is_on("unset"))
        words = [
            (gettext("fixed"), is_fixed),
            (gettext("hidden"), self.is_on("hidden")),
            (gettext("narrower"), bounds),
            (gettext("other default"), starts_elsewhere),
            (gettext("not for every role"), self.is_on("unless")),
        ]
        return [word for word, is_said in words if is_said]

    @property
    def is_choice_narrowed(self) -> bool:
        return (
            (len(self.choices) < len(self.listed))
            if self.listed
            else bool(self.texts.get("choices", "").strip())
        )

    def is_on(self, name: str) -> bool:
        return bool(self.texts.get(name))

    @property
    def is_open(self) -> bool:
        return bool(self.errors)

    @property
    def listed(self) -> list[tuple[str, str]]:
        """The values that the pipeline itself lists, unless there are too many to be looked through."""
        return self._options if takes(self.parts, "choices") else []

    @property
    def boxes(self) -> list[tuple[str, str, bool]]:
        return [(key, label, key in self.choices) for key, label in self.listed]

    @property
    def section_name(self) -> str:
        return f"{self.key}:section"

    def input(self, name: str, label: str, **options: Any) -> Input:
        return Input(
            f"{self.key}:{name}",
            label,
            self.texts.get(name, ""),
            errors=self.errors.get(name, []),
            **options,
        )

    def wording(self) -> Iterator[Input]:
        """What it is called and how it looks."""
        yield self.input(
            "label", gettext("Label"), hint=gettext("Empty: “%(title)s”") % {"title": self.parameter.title}
        )
        # Values that are listed are chosen, whatever could be typed before.
        parts = [{"enum": []}] if self.texts.get("choices", "").strip() else self.parts
        if fitting := fitting_widgets(parts):
            names = [(widget.value, str(WIDGET_WORDS[widget.value])) for widget in fitting]
            yield self.input("widget", gettext("Input"), options=[("", gettext("The usual one")), *names])
        if {kind_of(part) for part in self.parts} <= {"text", "number", "decimal"}:
            yield self.input(
                "placeholder", gettext("Placeholder"), hint=gettext("Grey, while nothing is filled in")
            )
        yield self.input(
            "help", gettext("Help"), rows=2, hint=gettext("Markdown. Empty: what the pipeline says")
        )

    def value_input(self) -> Input | None:
        """None for a secret, of which a template keeps nothing."""
        if self.parameter.is_secret:
            return None
        usual = (
            gettext("As the pipeline says: %(default_words)s") % {"default_words": self.default_words}
            if self.default_words
            else gettext("None")
        )
        options: list[tuple[str, str]] = []
        if isinstance(self.control, ChoiceControl):
            options = [("", usual), *self._options] if self._options else []
        elif isinstance(self.control, CheckboxControl):
            options = [("", usual), ("true", gettext("Yes")), ("false", gettext("No"))]
        rows = 2 if isinstance(self.control, JsonControl) else 0
        hint = (
            ""
            if options
            else "JSON"
            if rows
            else gettext("Empty: %(value)s") % {"value": f"{usual[:1].lower()}{usual[1:]}"}
        )
        return self.input(
            "value",
            gettext("Value to start from"),
            options=options,
            rows=rows,
            hint=hint,
        )

    def bounds(self) -> Iterator[Input]:
        for name in (*NUMBERS, *TEXTS):
            if takes(self.parts, name) and (name in SECRET_BOUNDS or not self.parameter.is_secret):
                yield self.input(name, str(BOUND_WORDS[name]))
        if takes(self.parts, "choices") and not self.listed and not self.parameter.is_secret:
            yield self.input(
                "choices", gettext("Only these values"), rows=2, hint=gettext("One per line. Empty: any")
            )

    # -- text to document and back ------------------------------------------------------------------------------------

    def show(self, asked: ParameterCuration) -> None:
        """Take over what a curation says."""
        self.texts |= {name: str(getattr(asked, name) or "") for name in PLAIN}
        for name in (*NUMBERS, "min_length", "max_length"):
            limit = getattr(asked, name)
            self.texts[name] = "" if limit is None else to_json(limit)
        self.texts |= {"locked": "on" if asked.is_locked else "", "hidden": "on" if asked.hidden else ""}
        if asked.gives_value:
            self.texts["unset" if asked.value is None else "value"] = (
                "on" if asked.value is None else self.control.to_text(asked.value)
            )
        if asked.choices is not None:
            self.choices = [self.control.to_text(value) for value in asked.choices]
            self.texts["choices"] = "\n".join(self.choices)

    def entry(self) -> dict[str, Any]:
        """What the owner says, for the document; what cannot be read is noted at its input."""
        said: dict[str, Any] = {name: text for name in PLAIN if (text := self.texts.get(name, "").strip())}
        for name in (*NUMBERS, "min_length", "max_length"):
            if text := self.texts.get(name, "").strip():
                said[name] = self._read(name, _number, text)
        if (choices := self._chosen()) is not None:
            said["choices"] = choices
        value = self._value()
        if self.is_on("locked"):
            if value is MISSING and not self.parameter.has_default:
                self.errors.setdefault("value", []).append(gettext("Say at which value it is fixed."))
            else:
                said["locked"] = self.parameter.default if value is MISSING else value
        elif value is not MISSING:
            said["default"] = value
        return said | ({"hidden": True} if self.is_on("hidden") else {})

    def _value(self) -> Any:
        if self.is_on("unset"):
            return None
        text = self.texts.get("value", "")
        return self._read("value", self.control.parse, text) if text.strip() else MISSING

    @cached_property
    def _options(self) -> list[tuple[str, str]]:
        options = self.control.options() if isinstance(self.control, ChoiceControl) else []
        return options if len(options) <= MOST_OPTIONS else []

    def _chosen(self) -> list[Any] | None:
        if self.listed:
            known = [key for key, _ in self.listed]
            chosen = [key for key in self.choices if key in known]
            return None if set(chosen) == set(known) else [self.control.parse(key) for key in chosen]
        lines = [line for line in self.texts.get("choices", "").splitlines() if line.strip()]
        return [self._read("choices", self.control.parse, line) for line in lines] or None

    def _read(self, name: str, parse: Callable[[str], Any], text: str) -> Any:
        try:
            return parse(text)
        except ValidationError as error:
            self.errors.setdefault(name, []).extend(error.messages)
        return None


def cards_of(config_schema: Schema) -> Iterator[Card]:
    """A card for everything that a curation can say something about."""
    known = parameters_of(config_schema)
    for step in read_steps(config_schema):
        for parameter in step.parameters:
            if (key := (step.name, parameter.name)) in known:
                card = Card(name_of(key), parameter, step.title, {}, parts_of(known[key], config_schema))
                card.choices = [text for text, _ in card.listed]
                yield card


def _number(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise ValidationError(gettext("Enter a number.")) from error
