"""Controls for what is found by a search: values that only a worker can tell, and those of a long list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from crispy_forms.layout import LayoutObject
from crispy_forms.utils import TEMPLATE_PACK
from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.controls import ChoiceSource, Occasion, Offer, SingleControl
from templates_app.schema_forms.multiple import CheckboxesWidget
from templates_app.schema_forms.scalars import MOST_OPTIONS, ChoiceControl
from templates_app.schema_forms.schemas import Json, Parameter, Schema, label_of, read_json, to_json
from templates_app.suggestions import options_with
from zenweb.config.choices import dependency_of
from zenweb.config.json_schema import CHOICE_RULES

MOST_LISTED = 50  # of more, some are found by a search
MOST_FOUND = 20


class OfferedControl(SingleControl):
    """Its inputs hold values as they are read, whether or not it is known by now what may be chosen.

    It never takes what is typed: a value comes from what was offered, or was there before, and is shown as what it is.
    """

    blank_message = gettext_lazy("Choose one of the offered values.")
    again = False

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        is_of_a_step = len(parameter.path) == 4
        return is_of_a_step and (_is_offered(parameter.schema) or _is_offered(_entries_of(parameter)))

    def begin(self, value: Json, occasion: Occasion) -> None:
        verb, _, rest = occasion.action.partition(" ")
        self.again = verb == "ask" and rest.removeprefix("- ") == self.parameter.field_name
        self.searched = occasion.was_sent(self.search_name) or ""

    @property
    def is_many(self) -> bool:
        return not _is_offered(self.parameter.schema)

    @property
    def search_name(self) -> str:
        return f"{self.parameter.field_name}.~search"

    @property
    def depends_on(self) -> list[tuple[str, ...]]:  # type: ignore[override]
        step = self.parameter.path[1]
        names = self._entry.keywords[CHOICE_RULES].get("depends_on")
        places = [dependency_of(step, str(name)) for name in names] if isinstance(names, list) else []
        return [("steps", other, "parameters", name) for other, name in places]

    def widget(self) -> forms.Widget:
        return CheckboxesWidget() if self.is_many else forms.TextInput()

    def initial(self, value: Json) -> dict[str, Any]:
        if not self.is_many:
            return super().initial(value)
        return {
            self.parameter.field_name: [self.key_of(one) for one in value] if isinstance(value, list) else []
        }

    def value(self, text: Any) -> Json:
        if not self.is_many or text is None:
            return super().value(text)
        chosen = [self.parse(one) for one in text]
        if not chosen and self.parameter.is_optional:
            return self.parameter.unset
        return self._in_the_defaults_order(chosen)

    def parse(self, text: str) -> Json:
        """The value that a text stands for. One that stands for none is the validator's to refuse."""
        for listed, _ in self._entry.choices():
            if self.key_of(listed) == text:
                return listed
        try:
            if text.startswith('"'):
                return read_json(text)
            match self._entry.type:
                case "integer":
                    return int(text)
                case "number":
                    return float(text)
        except ValueError:
            return text
        return text

    def to_text(self, value: Json) -> str:
        if isinstance(value, list):
            return ", ".join(map(self.key_of, value))
        return "" if value is None else self.key_of(value)

    def key_of(self, value: Json) -> str:
        """What an option sends: a text as it is, unless that could not be told from an empty input."""
        is_quoted = isinstance(value, str) and (not value.strip() or value.startswith('"'))
        return to_json(value) if is_quoted else label_of(value)

    def hint(self) -> str:
        return ""

    @property
    def blank_hint(self) -> str:
        return ""

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        return self.parameter.field_name, ""

    def layout(self) -> Any:
        return OfferedLayout(self)

    def offer(self, form: Any) -> Offer:
        """What may be chosen, with the values of the form as they stand by now."""
        source: ChoiceSource | None = form.choices
        if source is None:
            return NOBODY
        _, step, _, name = self.parameter.path
        return source.ask(step, name, form.standing(self.depends_on), again=self.again)

    @property
    def _entry(self) -> Schema:
        """What describes one chosen value."""
        return _entries_of(self.parameter) if self.is_many else self.parameter.schema

    def _in_the_defaults_order(self, chosen: list[Json]) -> list[Json]:
        """The same values as the default's are the default: nobody can say in which order boxes were ticked."""
        default = self.parameter.default
        is_same = isinstance(default, list) and sorted(map(to_json, chosen)) == sorted(map(to_json, default))
        return default if is_same else chosen


class ListedControl(ChoiceControl):
    """One of so many listed values that nobody would find it in a list to open."""

    is_many = False

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return len(parameter.schema.choices()) > MOST_OPTIONS

    def begin(self, value: Json, occasion: Occasion) -> None:
        super().begin(value, occasion)
        self.searched = occasion.was_sent(self.search_name) or ""

    @property
    def search_name(self) -> str:
        return f"{self.parameter.field_name}.~search"

    def widget(self) -> forms.Widget:
        return forms.TextInput()

    def layout(self) -> Any:
        return OfferedLayout(self)

    def key_of(self, value: Json) -> str:
        """Of what it offers, that is said already."""
        return str(value)

    def offer(self, form: Any) -> Offer:
        return Listed(self.options())


@dataclass(frozen=True)
class Option:
    """One value as it is shown."""

    text: str
    label: str
    is_chosen: bool = False
    is_offered: bool = True


@dataclass(frozen=True)
class Shown:
    """What a control shows of an offer, with what was chosen so far."""

    control: OfferedControl | ListedControl
    offer: Offer
    chosen: Sequence[str]

    @property
    def options(self) -> list[Option]:
        """Of many: what is chosen, then what was searched for."""
        labels = self._labels
        kept = [Option(text, text, True, False) for text in self.chosen if text not in labels]
        if not self.is_large:
            offered = [Option(text, label, text in self.chosen) for text, label in labels.items()]
            return [*kept, *offered]
        chosen = [Option(text, labels[text], True) for text in self.chosen if text in labels]
        found = map(self.control.key_of, (value for value, _ in self._found))
        others = islice((text for text in found if text not in self.chosen), MOST_FOUND)
        return [*kept, *chosen, *(Option(text, labels[text]) for text in others)]

    @cached_property
    def _labels(self) -> dict[str, str]:
        """What each option is called, by what it sends."""
        return {self.control.key_of(value): _visible(label) for value, label in self.offer.options}

    @property
    def facts(self) -> list[str]:
        """Those of the control, with what the default is called here."""
        parameter, own = self.control.parameter, self.control.default_hint
        default = parameter.default if self.control.is_many else [parameter.default]
        labels = [self._labels.get(self.control.key_of(value), "") for value in default or ()] if own else []
        if parameter.default_source or not labels or not all(labels):
            return self.control.facts
        words = gettext("Default: %(value)s")
        named = {words % {"value": own}: words % {"value": ", ".join(labels)}}
        return [named.get(fact, fact) for fact in self.control.facts]

    @property
    def is_large(self) -> bool:
        return len(self.offer.options) > MOST_LISTED

    @property
    def is_askable(self) -> bool:
        """Whether asking again may bring something."""
        return self.offer is not NOBODY

    @property
    def is_list(self) -> bool:
        """Whether each option has an input of its own."""
        return self.control.is_many or self.is_large

    @property
    def gone(self) -> list[str]:
        """What is chosen and not offered any more."""
        return (
            [option.label for option in self.options if not option.is_offered] if self.offer.is_known else []
        )

    @property
    def is_blank_offered(self) -> bool:
        """Whether one may choose nothing: for a select also where nothing is chosen yet."""
        return not self.control.is_many and (self.control.parameter.is_optional or not self.chosen)

    @property
    def blank_label(self) -> str:
        return gettext("Not set") if self.control.parameter.is_optional else gettext("Choose…")

    @property
    def count_words(self) -> str:
        """How many there are, where not all are shown."""
        if not self.is_large:
            return ""
        total, found = len(self.offer.options), len(self._found)
        counted = gettext("There are %(total)s.") % {"total": f"{total:,}"}
        if self.control.searched:
            numbers = {"found": f"{found:,}", "total": f"{total:,}"}
            counted = gettext("%(found)s of %(total)s have this in their names.") % numbers
        return f"{counted} {self._shown_of(found if self.control.searched else total)}".rstrip()

    @cached_property
    def _found(self) -> Sequence[tuple[Json, str]]:
        return self.offer.search(self.control.searched)

    def _shown_of(self, number: int) -> str:
        if number <= MOST_FOUND:
            return ""
        return gettext("%(number)s are shown: search for others.") % {
            "number": sum(option.is_offered for option in self.options)
        }


class OfferedLayout(LayoutObject):
    """Asks what may be chosen when it is shown, with the values of the form as they stand by then."""

    template = "templates_app/schema_form/offered.html"

    def __init__(self, control: OfferedControl | ListedControl) -> None:
        self.control = control
        self.fields: list[Any] = []

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        control, name = self.control, self.control.parameter.field_name
        form.rendered_fields.add(name)
        field = form[name]
        value = field.value()
        chosen = value if isinstance(value, list) else [value] if value else []
        names = [".".join(path) for path in sorted(form.with_what_they_depend_on(control.depends_on))]
        shown = Shown(control, control.offer(form), [str(text) for text in chosen])
        return render_to_string(
            self.template, {"field": field, "control": control, "shown": shown, "depends_on": "|".join(names)}
        )


@dataclass(frozen=True)
class Listed:
    """What a schema itself lists: what each option sends, and what it is called."""

    options: Sequence[tuple[str, str]]
    is_known: bool = True
    is_asking: bool = False
    sentence: str = ""
    log: str = ""

    def search(self, text: str) -> Sequence[tuple[str, str]]:
        return options_with(text, self.options)


@dataclass(frozen=True)
class Unasked:
    """Where nobody can be asked."""

    is_known: bool = False
    is_asking: bool = False
    log: str = ""
    options: Sequence[tuple[Json, str]] = ()

    @property
    def sentence(self) -> str:
        return gettext("What may be chosen is asked for when somebody fills in the form.")

    def search(self, text: str) -> Sequence[tuple[Json, str]]:
        return ()


NOBODY = Unasked()


def _visible(label: str) -> str:
    if label.strip():
        return label
    return f"“{label}”" if label else gettext("Empty text")


def _entries_of(parameter: Parameter) -> Schema:
    return parameter.schema.items


def _is_offered(schema: Schema) -> bool:
    return isinstance(schema.keywords.get(CHOICE_RULES), Mapping)
