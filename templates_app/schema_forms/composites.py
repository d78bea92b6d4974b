"""Controls for values that consist of others: each part has a control of its own, to any depth.

The name of a part's input is the name of the whole, a dot, and the part; in it `%`, `.`, `~` and what changes on its
way are escaped. A name with a `~` belongs to the form itself: `~` alone says that the control was on the page at all,
for an input that was not sent is not a value that was taken away.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from crispy_forms.layout import LayoutObject
from crispy_forms.utils import TEMPLATE_PACK
from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from templates_app.schema_forms.controls import Control, KeptField, Occasion, SingleControl
from templates_app.schema_forms.input_names import is_secret_input, quoted
from templates_app.schema_forms.schemas import MISSING, Json, Parameter, Schema, read_parameters
from templates_app.schema_forms.wording import describe_bounds
from templates_app.schema_places import is_same
from templates_app.schema_validation import accepts


class MarkerField(KeptField, forms.CharField):
    """Remembers in the page how a control looks, and is where errors about the whole of it are told."""

    def __init__(self, control: "Composite") -> None:
        self.control = control
        super().__init__(
            required=False,
            label=control.parameter.title,
            widget=forms.HiddenInput(attrs={"id": ""}),
            strip=False,
        )


class Composite(Control):
    """A control made of others. `marker` is the text of its hidden input."""

    template: ClassVar[str]
    marker: str = "1"

    def __init__(self, parameter: Parameter) -> None:
        super().__init__(parameter)
        self.occasion: Occasion

    @abstractmethod
    def children(self) -> Sequence[Control]: ...

    @property
    def name(self) -> str:
        return self.parameter.field_name

    @property
    def marker_name(self) -> str:
        return f"{self.name}.~"

    @property
    def was_left_out(self) -> bool:
        """Whether something was sent, and this control was not on that page."""
        return self.occasion.data is not None and self.occasion.was_sent(self.marker_name) is None

    def fields(self) -> dict[str, forms.Field]:
        fields: dict[str, forms.Field] = {self.marker_name: MarkerField(self)}
        for child in self.children():
            fields |= child.fields()
        return fields

    @property
    def titles(self) -> tuple[str, ...]:
        """What its parts stand in."""
        return (*self.parameter.within, self.parameter.title)

    def part(self, key: str, schema: Schema, value: Json, **facts: Any) -> Control:
        """The control of a part, ready to be shown."""
        facts.setdefault("default", MISSING)
        described = {"title": "", "description": "", **facts}
        return self._begin(
            Parameter(name=key, path=(*self.parameter.path, key), schema=schema, **described), value
        )

    def _begin(self, parameter: Parameter, value: Json) -> Control:
        control = self.occasion.control_for(replace(parameter, within=self.titles))
        is_lost = (
            value is not MISSING and not is_same(value, parameter.default) and not control.can_show(value)
        )
        control.begin(MISSING if is_lost else value, self.occasion)
        self.is_incomplete |= is_lost or control.is_incomplete
        return control

    def problems(self, cleaned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for child in self.children():
            yield from child.problems(cleaned)

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        if rest and (child := self.child_at(rest[0])) is not None:
            return child.locate(rest[1:])
        return self.marker_name, gettext("At %(place)s: ") % {"place": "/".join(rest)} if rest else ""

    @abstractmethod
    def child_at(self, key: str) -> Control | None:
        """The control of what stands at a key or position of the value."""

    @property
    def hint(self) -> str:
        return describe_bounds(self.parameter.schema)

    @property
    def is_required(self) -> bool:
        return self.parameter.has_to_be_filled_in

    def kept_where(self, is_away: Callable[[str], bool]) -> list[tuple[str, str]]:
        """Hidden inputs for what was typed where nothing is asked for now: it is still there when that comes back.

        `is_away` is given the rest of a name, below that of this control. Of a secret only that there was one is kept.
        """
        schema = self.parameter.schema
        kept = []
        for name, text in self.occasion.sent_below(f"{self.name}."):
            rest = name.removeprefix(f"{self.name}.")
            if not is_away(rest):
                continue
            if not is_secret_input(dict(schema.root), rest.split("."), dict(schema.keywords)):
                kept.append((name, text))
            elif text:
                kept.append((f"expected.{name}", "1"))
        return list(dict.fromkeys(kept))

    def layout(self) -> Any:
        return Nested(self, [child.layout() for child in self.children()])

    def context(self, parts: Sequence[str]) -> dict[str, Any]:
        """What its template shows beside its parts."""
        return {}


class Nested(LayoutObject):
    """A control around others."""

    def __init__(self, control: Composite, parts: Sequence[Any]) -> None:
        self.control = control
        self.fields = list(parts)

    def render(
        self, form: Any, context: Any, template_pack: str = TEMPLATE_PACK, **kwargs: Any
    ) -> SafeString:
        marker = form[self.control.marker_name]
        form.rendered_fields.add(self.control.marker_name)
        parts = [field.render(form, context, template_pack, **kwargs) for field in self.fields]
        shown = {"control": self.control, "marker": marker, "parts": parts, **self.control.context(parts)}
        return render_to_string(self.control.template, shown)


class GroupControl(Composite):
    """An object whose properties are known: one control each."""

    template = "templates_app/schema_form/group.html"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        return bool(parameter.schema.properties()) and parameter.schema.is_object

    is_conditional = False
    _sometimes: frozenset[str] = frozenset()
    """The names of what is asked for under a condition."""

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        given = value if isinstance(value, Mapping) else {}
        defaults = self.parameter.default if isinstance(self.parameter.default, Mapping) else {}
        self._by_name = dict(self._make_children(given, defaults))
        self._more = self._make_more(given)

    def children(self) -> Sequence[Control]:
        return [*self._by_name.values(), *([self._more] if self._more else [])]

    def initial(self, value: Json) -> dict[str, str]:
        given = value if isinstance(value, Mapping) else {}
        initial = {self.marker_name: self.marker}
        for name, child in self._by_name.items():
            initial |= child.initial(given.get(name, child.parameter.default))
        return initial | (self._more.initial(self._rest_of(given)) if self._more else {})

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        read = {name: child.read(cleaned) for name, child in self._by_name.items()}
        more = self._more.read(cleaned) if self._more else {}
        return {
            **(more if isinstance(more, Mapping) else {}),
            **{name: value for name, value in read.items() if value is not MISSING},
        }

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What was typed for what is not asked for as things stand."""
        away = {quoted(name) for name in self._sometimes - self._by_name.keys()}
        return self.kept_where(lambda rest: rest.partition(".")[0] in away) if away else []

    def child_at(self, key: str) -> Control | None:
        return self._by_name.get(key)

    def locate(self, rest: tuple[str, ...]) -> tuple[str, str]:
        if rest and rest[0] not in self._by_name and self._more:
            return self._more.locate(rest)
        return super().locate(rest)

    def _make_children(
        self, given: Mapping[str, Json], defaults: Mapping[str, Json]
    ) -> Iterator[tuple[str, Control]]:
        for found in self._properties(given, defaults):
            # What the whole starts from goes before what the part would start from by itself.
            default = defaults.get(found.name, found.default)
            parameter = replace(
                found,
                path=(*self.parameter.path, quoted(found.name)),
                default=default,
                is_required=found.is_required and default is MISSING,
            )
            yield found.name, self._begin(parameter, given.get(found.name, default))

    def _properties(self, given: Mapping[str, Json], defaults: Mapping[str, Json]) -> Iterator[Parameter]:
        """What is asked for: always, and as things stand."""
        schema = self.parameter.schema
        always = list(read_parameters(schema.keywords, self.parameter.path, schema.root))
        yield from always
        conditions = list(schema.conditions())
        self.is_conditional = bool(conditions)
        known = {parameter.name for parameter in always}
        if not conditions:
            return
        values = dict(self._values_now(always, given, defaults))
        for condition, then, otherwise in conditions:
            parts = [Schema.read(part, schema.root) for part in (then, otherwise)]
            self._sometimes = self._sometimes.union(*(part.properties() for part in parts))
            chosen = parts[0 if accepts(condition, schema.root, values) else 1]
            for parameter in read_parameters(chosen.keywords, self.parameter.path, schema.root):
                if parameter.name not in known:
                    known.add(parameter.name)
                    yield parameter

    def _values_now(
        self, parameters: Sequence[Parameter], given: Mapping[str, Json], defaults: Mapping[str, Json]
    ) -> Iterator[tuple[str, Json]]:
        """The plain values as they stand in the form; what cannot be read counts as not there."""
        for found in parameters:
            name = found.name
            parameter = replace(found, path=(*self.parameter.path, quoted(name)))
            control = self.occasion.control_for(parameter)
            value = given.get(name, defaults.get(name, found.default))
            if isinstance(control, SingleControl) and self.occasion.data is not None:
                with suppress(ValidationError):
                    value = control.value(self.occasion.was_sent(parameter.field_name))
            if value is not MISSING:
                yield name, value

    def _make_more(self, given: Mapping[str, Json]) -> Control | None:
        """Rows for names that the schema does not know but allows."""
        if (schema := self.parameter.schema.additional()) is None:
            return None
        keywords = {"type": "object", "additionalProperties": dict(schema.keywords)}
        rest = Schema(keywords, schema.root)
        return self.part("~more", rest, self._rest_of(given), title=gettext("More values"), default={})

    def _rest_of(self, given: Mapping[str, Json]) -> Json:
        return {name: value for name, value in given.items() if name not in self._by_name}


class TupleControl(Composite):
    """A list of so many values, each of a kind of its own."""

    template = "templates_app/schema_form/group.html"

    @classmethod
    def matches(cls, parameter: Parameter) -> bool:
        schema = parameter.schema
        prefix, most = schema.prefix_items(), schema.number("maxItems")
        is_closed = schema.keywords.get("items") is False or most == len(prefix)
        return bool(prefix) and is_closed and schema.type in {"array", ""}

    def begin(self, value: Json, occasion: Occasion) -> None:
        self.occasion = occasion
        prefix = self.parameter.schema.prefix_items()
        self._children = [
            self.part(
                str(position),
                schema,
                self._at(value, position),
                title=schema.text("title") or gettext("Value %(number)s") % {"number": position + 1},
                description=schema.text("description"),
                default=self._at(self.parameter.default, position),
                is_required=self._at(self.parameter.default, position) is MISSING,
            )
            for position, schema in enumerate(prefix)
        ]

    def children(self) -> Sequence[Control]:
        return self._children

    def initial(self, value: Json) -> dict[str, str]:
        initial = {self.marker_name: self.marker}
        for position, child in enumerate(self._children):
            initial |= child.initial(self._at(value, position))
        return initial

    def read(self, cleaned: Mapping[str, Any]) -> Json:
        if self.was_left_out:
            return MISSING
        values = [child.read(cleaned) for child in self._children]
        if all(value is MISSING for value in values) and not self.parameter.is_required:
            return MISSING
        return [None if value is MISSING else value for value in values]

    def child_at(self, key: str) -> Control | None:
        return self._children[int(key)] if key.isdecimal() and int(key) < len(self._children) else None

    def _at(self, value: Json, position: int) -> Json:
        return value[position] if isinstance(value, list) and position < len(value) else MISSING
