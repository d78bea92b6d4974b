"""What of a curation does not fit a schema: refused where it is written, told where it is carried over."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from templates_app.curated_schema import (
    BOUNDS,
    SECRET_BOUNDS,
    Schema,
    fitting_widgets,
    is_required,
    key_of,
    name_of,
    narrow,
    parameters_of,
    parts_of,
    takes,
)
from templates_app.curation import Curation, ParameterCuration, Path, read_what_is_right
from templates_app.schema_places import holds_secret
from templates_app.schema_validation import (
    accepts,
    check_schema,
    find_errors,
    place_words,
    standalone,
)
from templates_app.suggestions import suggestion
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import from_pointer, pointer_to

# Of the pipeline's own bounds, those that a new one has to stay within; True: it may not be the same number either.
LOWER = {
    "minimum": {"minimum": False, "exclusiveMinimum": True},
    "exclusive_minimum": {"minimum": False, "exclusiveMinimum": False},
    "min_length": {"minLength": False},
}
UPPER = {
    "maximum": {"maximum": False, "exclusiveMaximum": True},
    "exclusive_maximum": {"maximum": False, "exclusiveMaximum": False},
    "max_length": {"maxLength": False},
}
WORDS = {
    "minimum": gettext_lazy("at least {}"),
    "exclusiveMinimum": gettext_lazy("more than {}"),
    "maximum": gettext_lazy("at most {}"),
    "exclusiveMaximum": gettext_lazy("less than {}"),
    "multipleOf": gettext_lazy("multiples of {}"),
    "minLength": gettext_lazy("at least {} characters"),
    "maxLength": gettext_lazy("at most {} characters"),
}
GIVEN_AWAY = gettext_lazy(
    "This is a secret. A template keeps none, so it cannot give this a value: it can only be asked for."
)
TELLING = gettext_lazy(
    "This is a secret. A template keeps nothing of what it may be, so that can be bounded by its length only."
)


@dataclass(frozen=True)
class Misfit:
    """Something in a curation that a schema contradicts, or has no use for."""

    path: Path
    message: str
    is_restriction: bool = False
    """Whether runs could be given more if it were left out."""

    @property
    def error(self) -> FieldError:
        return FieldError(pointer_to(self.path), self.message)

    @property
    def sentence(self) -> str:
        return f"{place_of(self.path)}: {self.message}"


def place_of(path: Sequence[str | int]) -> str:
    """A place in a curation as its owner reads it: `trainer.rate, maximum` or `sections, entry 1, title`."""
    return place_words(path[1:] if path and path[0] == "parameters" else path)


def placed(error: FieldError) -> str:
    """What is wrong in a curation as its owner reads it, with its place."""
    path = [int(part) if part.isdecimal() else part for part in from_pointer(error.pointer)]
    place = place_of(path[1:] if path[:1] == ["curation"] else path)
    return f"{place}: {error.message}" if place else error.message


def read_fitting(config_schema: Schema, document: Any) -> Curation:
    """What a document says. Raises ValidationFailed with everything that is wrong in it or does not fit."""
    curation, errors = read_what_is_right(document)
    told = {error.pointer for error in errors}
    errors += [
        misfit.error for misfit in misfits(config_schema, curation) if misfit.error.pointer not in told
    ]
    if errors:
        raise ValidationFailed(errors)
    return curation


def check_curation(config_schema: Schema, curation: Curation) -> None:
    """Raises ValidationFailed with everything that does not fit, and where that stands in the document."""
    if found := list(misfits(config_schema, curation)):
        raise ValidationFailed([misfit.error for misfit in found])


def carry_over(
    config_schema: Schema, curation: Curation, *, drops_misfits: bool = False
) -> tuple[Curation, list[str]]:
    """What of a curation fits another schema, and sentences about the rest.

    Raises ValidationFailed for what cannot be left out without runs being allowed more, unless `drops_misfits`.
    """
    notes: list[str] = []
    while found := list(misfits(config_schema, curation)):
        lost = [misfit.error for misfit in found if misfit.is_restriction]
        if lost and not drops_misfits:
            raise ValidationFailed([FieldError(f"/curation{error.pointer}", error.message) for error in lost])
        notes += [misfit.sentence for misfit in found]
        curation = curation.without(misfit.path for misfit in found)
    return curation, notes


def misfits(config_schema: Schema, curation: Curation) -> Iterator[Misfit]:
    """Everything in a curation that does not fit a schema."""
    known = parameters_of(config_schema)
    names = [name_of(key) for key in known]
    for name, asked in curation.parameters.items():
        if (key := key_of(name)) in known:
            about = _About(known[key], asked, config_schema, is_required(config_schema, key))
            for path, message, is_restriction in about.misfits():
                yield Misfit(("parameters", name, *path), message, is_restriction)
        else:
            yield Misfit(("parameters", name), _unknown(name, names))
    placed: set[str] = set()
    for number, section in enumerate(curation.sections):
        for index, name in enumerate(section.parameters):
            place = ("sections", number, "parameters", index)
            if name not in names:
                yield Misfit(place, _unknown(name, names))
            elif name in placed:
                yield Misfit(
                    place,
                    gettext("%(name)r stands in a section already: it can be in one only.") % {"name": name},
                )
            placed.add(name)


def _unknown(name: str, names: Sequence[str]) -> str:
    sentence = gettext("This template has no parameter %(name)r.") % {"name": name}
    return f"{sentence}{suggestion(name, names)}"


Found = tuple[Path, str, bool]
"""A place below the parameter, a sentence, and whether it restricts."""


@dataclass(frozen=True)
class _About:
    """What is asked for of one parameter, beside the schema that the pipeline gives it."""

    schema: Schema
    asked: ParameterCuration
    root: Schema
    is_required: bool

    @property
    def _is_secret(self) -> bool:
        return holds_secret([self.schema], self.root)

    def misfits(self) -> Iterator[Found]:
        wrong = list(self._wrong_bounds())
        yield from wrong
        # The bounds that are right are kept to all the same.
        unusable = dict.fromkeys(str(path[0]) for path, *_ in wrong)
        yield from replace(self, asked=self.asked.model_copy(update=unusable))._wrong_values()

    def _wrong_bounds(self) -> Iterator[Found]:
        parts = parts_of(self.schema, self.root)
        given = [bound for bound in BOUNDS if getattr(self.asked, bound) is not None]
        if self._is_secret:
            yield from (((bound,), str(TELLING), True) for bound in given if bound not in SECRET_BOUNDS)
            given = [bound for bound in given if bound in SECRET_BOUNDS]
        applicable = [bound for bound in given if takes(parts, bound)]
        for bound in given:
            if bound not in applicable:
                yield (bound,), gettext("A value of this parameter's type cannot be bounded so."), True
        wider = {bound: words for bound in applicable if (words := self._own_rules(parts, bound))}
        for bound, words in wider.items():
            yield (
                (bound,),
                gettext("The pipeline itself takes %(words)s: this may narrow that, not widen it.")
                % {"words": words},
                False,
            )
        if "pattern" in applicable and (sentence := _wrong_pattern(str(self.asked.pattern))):
            yield ("pattern",), sentence, True
        elif empty := self._nothing_left([bound for bound in applicable if bound not in wider]):
            yield empty
        elif "choices" in applicable:
            yield from self._wrong_choices()

    def _own_rules(self, parts: Sequence[Schema], bound: str) -> str:
        """What the pipeline asks for, in words, where a bound of the template's would allow more."""
        limit = getattr(self.asked, bound)
        for part in parts:
            for word, is_same_wrong in LOWER.get(bound, {}).items():
                if (own := part.get(word)) is not None and (limit < own or (is_same_wrong and limit == own)):
                    return WORDS[word].format(own)
            for word, is_same_wrong in UPPER.get(bound, {}).items():
                if (own := part.get(word)) is not None and (limit > own or (is_same_wrong and limit == own)):
                    return WORDS[word].format(own)
            own = part.get("multipleOf")
            if bound == "multiple_of" and own is not None and Fraction(str(limit)) % Fraction(str(own)):
                return WORDS["multipleOf"].format(own)
        return ""

    def _nothing_left(self, given: Sequence[str]) -> Found | None:
        for part in parts_of(narrow(self.schema, self.asked, self.root), self.root):
            for low, high, is_open in _ranges(part):
                if low > high or (low == high and is_open):
                    sides = [bound for bound in given if bound in LOWER or bound in UPPER]
                    if sides:
                        return (
                            (sides[-1],),
                            gettext("Nothing is left between %(low)s and %(high)s.")
                            % {"low": low, "high": high},
                            True,
                        )
        return None

    def _wrong_choices(self) -> Iterator[Found]:
        rest = narrow(self.schema, self.asked.model_copy(update={"choices": None}), self.root)
        choices = self.asked.choices or []
        wrong = {
            index: errors for index, value in enumerate(choices) if (errors := self._errors(rest, value))
        }
        if len(wrong) == len(choices):
            yield (
                ("choices",),
                gettext("None of these can be given: %(message)s") % {"message": wrong[0][0].message},
                True,
            )
            return
        for index, errors in wrong.items():
            yield ("choices", index), errors[0].message, False

    def _wrong_values(self) -> Iterator[Found]:
        asked, narrowed = self.asked, narrow(self.schema, self.asked, self.root)
        if asked.widget and asked.widget not in fitting_widgets(parts_of(narrowed, self.root)):
            yield ("widget",), gettext("This parameter has no such input."), False
        if asked.gives_value and self._is_secret:
            yield ("locked" if asked.is_locked else "default",), str(GIVEN_AWAY), asked.is_locked
            return
        if asked.is_locked and asked.has_default:
            yield ("default",), gettext("This is fixed, so it cannot start from another value."), False
        if asked.gives_value:
            place = "locked" if asked.is_locked else "default"
            for error in self._errors(narrowed, asked.value):
                yield (place,), placed(error), asked.is_locked
                break
        elif "default" in self.schema:
            yield from self._bounds_without_default()
        elif asked.hidden and self.is_required:
            sentence = gettext(
                "This has to be given at each run, so it can be hidden only with a default, or fixed."
            )
            yield ("hidden",), sentence, False

    def _bounds_without_default(self) -> Iterator[Found]:
        """The bounds that the pipeline's own default breaks; one that its own schema does not take is its affair."""
        default = self.schema["default"]
        if self._errors(self.schema, default):
            return
        for bound in BOUNDS:
            if (limit := getattr(self.asked, bound)) is None:
                continue
            alone = ParameterCuration.model_construct(**{bound: limit})
            if takes(parts_of(self.schema, self.root), bound) and self._errors(
                narrow(self.schema, alone, self.root), default
            ):
                shown = json.dumps(default, ensure_ascii=False)
                yield (
                    (bound,),
                    gettext("The pipeline's default, %(shown)s, would not be allowed: give another default.")
                    % {"shown": shown},
                    True,
                )

    def _errors(self, schema: Schema, value: Any) -> list[FieldError]:
        if accepts(schema, self.root, value):
            return []
        return find_errors(standalone(schema, self.root), value) or [
            FieldError("", gettext("This cannot be given."))
        ]


def _ranges(part: Schema) -> Iterator[tuple[float, float, bool]]:
    """Each lower bound with each upper one, and whether the bounds themselves are left out."""
    lows = [("minimum", False), ("exclusiveMinimum", True)]
    highs = [("maximum", False), ("exclusiveMaximum", True)]
    pairs = [(low, high) for low in lows for high in highs] + [(("minLength", False), ("maxLength", False))]
    for (low, is_low_open), (high, is_high_open) in pairs:
        if low in part and high in part:
            yield part[low], part[high], is_low_open or is_high_open


def _wrong_pattern(pattern: str) -> str:
    try:
        check_schema({"pattern": pattern})
    except ValidationFailed:
        return gettext("This is no regular expression that can be used here.")
    return ""
