"""Controls for values of one of several kinds: one chooses the kind, then fills in what belongs to it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from templates_app.schema_forms.composites import Composite
from templates_app.schema_forms.controls import Control, KeptField, Occasion
from templates_app.schema_forms.schemas import (
    MISSING,
    Json,
    Parameter,
    Schema,
    label_of,
    spoken,
)
from templates_app.schema_places import contradicts
from templates_app.schema_validation import accepts, find_errors, standalone
from zenweb.exceptions import FieldError
from zenweb.pointers import from_pointer

KINDS = {
    "string": gettext_lazy("Text"),
    "integer": gettext_lazy("Whole number"),
    "number": gettext_lazy("Number"),
    "boolean": gettext_lazy("Yes or no"),
    "array": gettext_lazy("List"),
    "object": gettext_lazy("Group of values"),
}
FORMATS = {
    "date": gettext_lazy("Date"),
    "date-time": gettext_lazy("Date and time"),
    "time": gettext_lazy("Time"),
    "duration": gettext_lazy("Duration"),
    "uuid": gettext_lazy("UUID"),
}


class KindField(KeptField, forms.CharField):
    """Which kind was chosen."""

    def __init__(self, control: "UnionControl") -> None:
        self.control = control
        attrs = {"data-refresh": ""}
        select = forms.Select(choices=control.choices, attrs=attrs)
        super().__init__(required=False, label=control.parameter.title, widget=select)


class UnionControl(Composite):
    """One of several kinds; "not set" is one where that is allowed. What was typed for another kind is kept."""

    template = "templates_app/schema_form/union.html"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return len(parameter.schema.branches()) > 1 or (
            parameter.is_optional and parameter.schema.is_composite
        )

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        branches = self.parameter.schema.branches()
        self.is_choice = bool(branches)
        self.kinds = branches or [self._plain]
        sent = occasion.was_sent(self.marker_name)
        self.marker = self._kind_of(value) if sent is None else sent
        self.child = self._make_child(value if sent is None else MISSING)

    @property
    def _plain(self) -> Schema:
        return Schema(self.parameter.schema.keywords, self.parameter.schema.root)

    @property
    def titles(self) -> tuple[str, ...]:
        """What may only be set or not is titled like the whole."""
        return super().titles if self.is_choice else self.parameter.within

    @property
    def marker_name(self) -> str:
        return f"{self.name}.~kind"

    @property
    def choices(self) -> list[tuple[str, str]]:
        nothing = gettext("Not set") if self.parameter.is_optional else gettext("Choose…")
        titles = [self._title(kind) for kind in self.kinds]
        counts, so_far = Counter(titles), Counter[str]()
        numbered = []
        for title in titles:
            so_far[title] += 1
            numbered.append(title if counts[title] == 1 else f"{title} ({so_far[title]})")
        is_chosen = self.parameter.has_default and self.parameter.default is not None
        blank = [] if is_chosen and not self.parameter.is_optional else [("", nothing)]
        return [*blank, *((str(index), title) for index, title in enumerate(numbered))]

    def children(self) -> Sequence[Control]:
        return [self.child] if self.child else []

    def child_at(self, key: str) -> Control | None:
        return None

    def fields(self) -> dict[str, forms.Field]:
        fields: dict[str, forms.Field] = {self.marker_name: KindField(self)}
        return fields | (self.child.fields() if self.child else {})

    def initial(self, value: Json) -> dict[str, str]:
        initial = {self.marker_name: self.marker}
        if self.child is None:
            return initial
        is_same_kind = self._kind_of(value) == self.marker
        return initial | self.child.initial(value if is_same_kind else self.child.parameter.default)

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        if (kind := self._kind) is None:
            return self.parameter.unset if self.parameter.is_optional else MISSING
        if "const" in kind.keywords:
            return kind.keywords["const"]
        return self.child.read(cleaned) if self.child else MISSING

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().problems(cleaned)
        if self.child is None or self.occasion.data is None:
            return
        if not self._is_filled:
            yield self.marker_name, gettext("Fill in what belongs to it.")
            return
        # The validator knows only that no kind fits; the form knows which one is meant.
        for error in self._errors_of_the_kind(self.child.read(cleaned)):
            name, prefix = self.child.locate(from_pointer(error.pointer))
            self._explained = self._explained or name
            yield name, prefix + error.message

    _explained = ""
    """The field at which is said what is wrong."""

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        if not rest and self._explained:
            return self._explained, ""
        return self.child.locate(rest) if self.child and self._is_filled else super().locate(rest)

    def _errors_of_the_kind(self, value: Json) -> list[FieldError]:
        if (kind := self._kind) is None or value is MISSING:
            return []
        return find_errors(standalone(kind.keywords, kind.root), value)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What was typed for the kinds that are not chosen now, so that it is still there when one comes back."""
        own = f"~{self.marker}."
        return self.kept_where(
            lambda rest: rest.startswith("~") and rest != "~kind" and not f"{rest}.".startswith(own)
        )

    @property
    def _is_filled(self) -> bool:
        """Whether the inputs of the chosen kind were on the page."""
        own = self._child_name(self.marker)
        return any(name == own or name.startswith(f"{own}.") for name in self.occasion.data or ())

    def _child_name(self, kind: str) -> str:
        return f"{self.name}.~{kind}"

    @property
    def _kind(self) -> Schema | None:
        is_known = self.marker.isdecimal() and int(self.marker) < len(self.kinds)
        return self.kinds[int(self.marker)] if is_known else None

    def _make_child(self, value: Json) -> Control | None:
        kind = self._kind
        if kind is None or "const" in kind.keywords:
            return None
        default = self.parameter.default
        return self.part(
            f"~{self.marker}",
            kind,
            value,
            title=self._title(kind) if self.is_choice else self.parameter.title,
            description=kind.text("description") if self.is_choice else "",
            default=default if default is not None and self._kind_of(default) == self.marker else MISSING,
            is_required=True,
        )

    def _kind_of(self, value: Json) -> str:
        """The number of the kind that a value is of, or comes near to: a wrong value is to be seen and mended."""
        if value is MISSING or value is None:
            return ""
        # The first of those that are equally near.
        return str(min(range(len(self.kinds)), key=lambda index: _distance(self.kinds[index], value)))

    def _title(self, kind: Schema) -> str:
        keywords = kind.keywords
        if "const" in keywords:
            return kind.text("title") or label_of(keywords["const"])
        words = FORMATS.get(kind.format) or KINDS.get(kind.type) or gettext("Something else")
        if not self.is_choice:
            return gettext("Set")
        return spoken(kind.text("title")) or str(words)


def _distance(kind: Schema, value: Json) -> tuple[bool, bool, int, bool]:
    """How far a value is from a kind. What it says itself (`kind: Literal["csv"]`) goes before what is in it, and that
    before what it lacks: a secret is left out wherever values are kept.
    """
    is_fitting = accepts(kind.keywords, kind.root, value)
    is_of_its_type = is_fitting or accepts({"type": kind.type}, {}, value)
    if not isinstance(value, Mapping):
        return not is_of_its_type, False, 0, not is_fitting
    return not is_of_its_type, contradicts(kind.properties(), value), _strangers(kind, value), not is_fitting


def _strangers(kind: Schema, value: Mapping[str, Json]) -> int:
    """How many of the names in a value the kind does not know, where it names any."""
    return len(value.keys() - kind.properties().keys()) if kind.properties() else 0
