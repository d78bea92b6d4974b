"""What a control is: the piece of a form that asks for one parameter and turns text into a JSON value."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from crispy_forms.layout import Field as FieldLayout
from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.input_names import is_secret_input
from templates_app.schema_forms.schemas import MISSING, Json, Parameter
from templates_app.schema_forms.wording import describe_bounds, source_words


class KnownFile(Protocol):
    """A file that is kept: its id, and what a person calls it."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def origin(self) -> str: ...


class FileSource(Protocol):
    """The files that one person may use."""

    def find(self, ids: Iterable[str]) -> Mapping[str, KnownFile]: ...

    def search(self, text: str, rules: Mapping[str, Any]) -> Sequence[KnownFile]:
        """The newest that suit the rules of a parameter (`zenweb-file`) and have the text in their names."""

    def store(self, upload: Any, rules: Mapping[str, Any]) -> KnownFile:
        """Keep a file that was sent. Raises ValidationFailed with the sentence to show."""


class Offer(Protocol):
    """What may be chosen for a parameter, or the sentence why that is not known."""

    @property
    def is_known(self) -> bool: ...
    @property
    def is_asking(self) -> bool:
        """It may be known in a moment."""

    @property
    def sentence(self) -> str: ...
    @property
    def log(self) -> str:
        """For who owns the template."""

    @property
    def options(self) -> Sequence[tuple[Json, str]]:
        """Values with their labels."""

    def search(self, text: str) -> Sequence[tuple[Json, str]]: ...


class ChoiceSource(Protocol):
    """Who is asked what may be chosen, given the values of a form as they stand."""

    def ask(self, step: str, parameter: str, configuration: dict[str, Any], *, again: bool) -> Offer: ...


@dataclass
class Occasion:
    """What a form is made for: to be shown for the first time (`data` is None), or from what was sent."""

    control_for: Callable[[Parameter], "Control"]
    data: MutableMapping[str, Any] | None = None
    uploads: Mapping[str, Any] | None = None
    """Files that were sent with the form, by the names of their inputs."""
    files: "FileSource | None" = None
    """Where files are kept; None: nowhere, so that none can be chosen."""
    keeps_values: bool = False
    """Whether what is left empty stays what it was in the values one starts from."""
    action: str = ""
    """What the person wants done to the form itself, such as `add steps.trainer.parameters.rates`."""

    def was_sent(self, name: str) -> str | None:
        """The text of an input, if there is any."""
        found = self.data.get(name) if self.data is not None else None
        return None if found is None else str(found)

    def sent_below(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The inputs whose names begin so, with all of their texts; a secret that is expected as one that was typed."""
        data = self.data or {}
        for sent in data:
            name = sent.removeprefix("expected.")
            if name.startswith(prefix):
                texts = data.getlist(sent) if isinstance(data, MultiValueDict) else [data[sent]]
                yield from ((name, str(text)) for text in texts)


class Control(ABC):
    """Asks for one parameter, through one form field or several.

    A new kind is a subclass listed in `registry.CONTROLS`; nothing else changes.
    """

    is_silent: ClassVar[bool] = False
    """Whether there is nothing to ask."""
    is_incomplete = False
    """Whether a part of what it starts from cannot be shown in it."""
    depends_on: Sequence[tuple[str, ...]] = ()
    """The paths of the parameters that decide what may be chosen."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter

    @classmethod
    @abstractmethod
    def matches(cls, parameter: Parameter) -> bool:
        """Whether this control can ask for such a parameter."""

    def begin(self, value: Json, occasion: Occasion) -> None:  # noqa: B027
        """Before anything else: the value that the form starts from (MISSING: none), and what the form is made for."""

    @abstractmethod
    def fields(self) -> dict[str, forms.Field]:
        """The form fields it needs, by name. Their `clean` turns text into values."""

    @abstractmethod
    def initial(self, value: Json) -> dict[str, str]:
        """What its fields hold when the parameter has this value (MISSING: none yet)."""

    @abstractmethod
    def read(self, cleaned: Mapping[str, Any]) -> Json:
        """The parameter's value from its fields' cleaned data, MISSING to leave it out."""

    def can_show(self, value: Json) -> bool:
        """Whether its fields hold a value, wrong ones included. One that they do not hold is lost, so it is told."""
        parts = {"object": Mapping, "array": list}.get(self.parameter.schema.type)
        return parts is None or value is None or isinstance(value, parts)

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What is wrong with how the form was filled in and no schema can say: names of fields, and sentences."""
        yield from ()

    @abstractmethod
    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        """Where to show an error at this path below the parameter: a field's name, and words to put first."""

    @abstractmethod
    def layout(self) -> Any:
        """The crispy layout object that shows it."""


class KeptField(forms.Field):
    """A form field that shows what was typed, and where it started if its input was not on the page."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if data is None else data


class ControlField(KeptField):
    """A form field that leaves the meaning of its text to a control."""

    def __init__(self, control: "SingleControl", widget: forms.Widget) -> None:
        self.control = control
        parameter = control.parameter
        # What is required is the validator's to say, once and for every channel.
        help_text = " ".join(filter(None, [parameter.description, *control.facts, control.note]))
        super().__init__(required=False, label=parameter.title, help_text=help_text, widget=widget)
        root = dict(parameter.schema.root)
        if is_secret_input(root, (), dict(parameter.schema.keywords)):
            self.widget.attrs["data-secret"] = ""  # the browser does not keep it
        if placeholder := parameter.hints.get("placeholder") or control.example:
            self.widget.attrs["placeholder"] = str(placeholder)
        if control.is_required:
            self.widget.attrs["aria-required"] = "true"

    def clean(self, value: Any) -> Json:
        return self.control.value(value)


class SingleControl(Control):
    """A control with one input, named after the parameter."""

    blank_message: ClassVar[str | Promise] = gettext_lazy("Enter a value.")
    is_wide: ClassVar[bool] = False
    shows_text: ClassVar[bool] = False
    """Whether its input is for text of any kind, so that it can show an example while it is empty."""
    template: ClassVar[str] = "templates_app/schema_form/field.html"
    note: str = ""
    """What to know about the input as it stands now."""

    @abstractmethod
    def widget(self) -> forms.Widget: ...

    @abstractmethod
    def parse(self, text: str) -> Json:
        """The value of a text that is not blank. Raises ValidationError with the words its author reads."""

    @abstractmethod
    def to_text(self, value: Json) -> str:
        """The text that stands for a value: `parse` reads it back. Never raises, also for values of another type."""

    def text_along(self, text: str) -> Json:
        """What a text that is no value stands for where any value can be written; MISSING: nothing."""
        return text if self.to_text(text) == text else MISSING

    def hint(self) -> str:
        return describe_bounds(self.parameter.schema)

    @property
    def example(self) -> str:
        """What the code gives as an example, where the input shows text."""
        examples = self.parameter.schema.keywords.get("examples")
        return (
            self.to_text(examples[0]) if self.shows_text and isinstance(examples, list) and examples else ""
        )

    @property
    def is_required(self) -> bool:
        """Whether it has to be filled in."""
        return self.parameter.has_to_be_filled_in

    @cached_property
    def facts(self) -> list[str]:
        """What there is to know beside the description, in short phrases."""
        default = gettext("Default: %(value)s") % {"value": self.default_hint} if self.default_hint else ""
        return [fact for fact in (self.hint(), default, self.blank_hint) if fact]

    @property
    def blank_hint(self) -> str:
        if self.parameter.is_found_later:
            return f"Leave empty for “{self.parameter.default_source}”"
        if self.parameter.is_made_in_code:
            return gettext("Leave empty for a default that the code makes")
        if self.parameter.is_optional:
            return gettext("Leave empty for “not set”")
        return self.empty_hint if not self.parameter.has_default else ""

    @property
    def empty_hint(self) -> str:
        """How to say "empty" where an empty input says that nothing was entered yet, if empty is allowed at all."""
        return ""

    @property
    def default_hint(self) -> str:
        if not self.parameter.has_default or self.parameter.default is None:
            return ""
        if source := self.parameter.default_source:
            return source_words(source)
        text = self.to_text(self.parameter.default)
        return text if len(text) <= 60 and "\n" not in text else ""

    def fields(self) -> dict[str, forms.Field]:
        return {self.parameter.field_name: ControlField(self, self.widget())}

    def initial(self, value: Json) -> dict[str, str]:
        return {self.parameter.field_name: "" if value is MISSING else self.to_text(value)}

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        return cleaned.get(self.parameter.field_name, MISSING)

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        return self.parameter.field_name, gettext("At %(place)s: ") % {
            "place": "/".join(rest)
        } if rest else ""

    def layout(self) -> Any:
        return FieldLayout(self.parameter.field_name, template=self.template)

    def value(self, text: str | None) -> Json:
        """What was meant by a submitted text, None standing for an input that was not submitted at all."""
        if text is None:
            return MISSING
        text = text.replace("\r\n", "\n")  # how every browser sends the lines of a textarea
        if self.parameter.has_default and self.is_same(text, self.to_text(self.parameter.default)):
            return self.unchanged()
        return self.parse(text) if text.strip() else self.blank(text)

    def is_same(self, text: str, initial: str) -> bool:
        return text == initial

    def unchanged(self) -> Json:
        """The default itself, so that no detail of it is lost on the way through text."""
        default = self.parameter.default
        return self.parameter.unset if default is None else default

    def blank(self, text: str) -> Json:
        """What an empty input means: not set, or (required) nothing, which the validator then calls missing."""
        if self.parameter.is_optional:
            return self.parameter.unset
        if not self.parameter.has_default:
            return MISSING
        raise ValidationError(str(self.blank_message))
