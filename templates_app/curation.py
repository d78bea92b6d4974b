"""A template's curation: the document in which its owner says how its form looks and what may be asked for there."""

import re
from collections.abc import Iterable
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any, Final, Literal

from django.utils.translation import gettext
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from templates_app.suggestions import did_you_mean
from zenweb.config.versions import up_to
from zenweb.enums import Role
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to

Path = tuple[str | int, ...]
Label = Annotated[str, Field(max_length=200)]
Markdown = Annotated[str, Field(max_length=4000)]
UNREADABLE = "?"
VERSION: Final = 1
Length = Annotated[int, Field(ge=0)]


def _number(value: Any) -> int | float | None:
    """As it was written: 1 stays a whole number, which float would not leave it."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(gettext("This must be a number."))
    return value


def _positive(value: int | float | None) -> int | float | None:
    if value is not None and value <= 0:
        raise ValueError(gettext("This must be more than 0."))
    return value


Bound = Annotated[Any, AfterValidator(_number)]
Multiple = Annotated[Any, AfterValidator(_number), AfterValidator(_positive)]


class Widget(StrEnum):
    """Another input than the one that a parameter's type gets by itself."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    SELECT = "select"
    RADIO = "radio"


class Part(BaseModel):
    """A misspelt word would leave open what was to be closed, so it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Section(Part):
    """A part of the form with a title of its own."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    help: Markdown = ""
    parameters: list[str] = Field(default_factory=list)


class ParameterCuration(Part):
    """What the owner says about one parameter; what is left out is as the pipeline says."""

    label: Label = ""
    help: Markdown = ""
    placeholder: Label = ""
    widget: Annotated[Widget, Field(strict=False)] | None = None
    minimum: Bound = None
    maximum: Bound = None
    exclusive_minimum: Bound = None
    exclusive_maximum: Bound = None
    multiple_of: Multiple = None
    min_length: Length | None = None
    max_length: Length | None = None
    pattern: Annotated[str, Field(max_length=1000)] | None = None
    choices: Annotated[list[Any], Field(min_length=1, max_length=1000)] | None = None
    default: Any = None
    locked: Any = None
    hidden: bool = False
    # From this role on, what is bounded, fixed and hidden above is not: a fixed value is only where it starts from.
    unless: Literal["editor", "owner"] | None = None

    @property
    def has_default(self) -> bool:
        """null is a default too, where a parameter may be not set."""
        return "default" in self.model_fields_set

    @property
    def is_locked(self) -> bool:
        return "locked" in self.model_fields_set

    @property
    def gives_value(self) -> bool:
        return self.is_locked or self.has_default

    def for_role(self, role: Role) -> "ParameterCuration":
        """What holds for who has this role."""
        if self.unless is None or role < Role[self.unless.upper()]:
            return self
        kept = {name: getattr(self, name) for name in self.model_fields_set & KEPT_FOR_ALL}
        if self.gives_value:
            kept["default"] = self.value
        return ParameterCuration(**kept)

    @property
    def value(self) -> Any:
        """What it starts from; see `gives_value`."""
        return self.locked if self.is_locked else self.default


class ElementsCuration(ParameterCuration):
    """What was said of one value, where there is a list by now, with one for each run of the step. In no document."""

    @property
    def gives_value(self) -> bool:
        """The list is the pipeline's."""
        return False


KEPT_FOR_ALL = {"label", "help", "placeholder", "widget"}


class Curation(Part):
    """Parameters are named by their step and name: `trainer.learning_rate`."""

    version: Annotated[Literal[1], up_to(VERSION, "The form")] = VERSION
    sections: Annotated[list[Section], Field(max_length=100)] = Field(default_factory=list)
    parameters: dict[str, ParameterCuration] = Field(default_factory=dict)

    def for_role(self, role: Role) -> "Curation":
        """What of it holds for who has this role."""
        parameters = {key: entry.for_role(role) for key, entry in self.parameters.items()}
        return self.model_copy(update={"parameters": parameters})

    def to_json(self) -> dict[str, Any]:
        """As it is kept and exported: without what says nothing. Nothing at all is {}."""
        parameters = {key: _said(entry) for key, entry in self.parameters.items()}
        document = {
            "sections": [
                section.model_dump(exclude_defaults=True)
                for section in self.sections
                if section.parameters or section.help
            ],
            "parameters": {key: entry for key, entry in parameters.items() if entry},
        }
        said = {name: part for name, part in document.items() if part}
        return {"version": self.version, **said} if said else {}

    def without(self, paths: Iterable[Path]) -> "Curation":
        """Without what stands at these places."""
        document: Any = self.model_dump(exclude_unset=True)
        # The last entries of a list first, so that the places of the others stay as they are.
        for path in sorted(set(paths), key=lambda path: [f"{part:>9}" for part in path], reverse=True):
            _remove(document, path)
        return Curation.model_validate(document)


def read_curation(document: Any) -> Curation:
    """What a document says. Raises ValidationFailed with all that is wrong in it and the pointers to that."""
    try:
        return Curation.model_validate(document)
    except ValidationError as error:
        raise ValidationFailed([_worded(entry) for entry in error.errors()]) from error


def read_what_is_right(document: Any) -> tuple[Curation, list[FieldError]]:
    """What a document says as far as it can be read, with everything at its place; and all that is wrong in it."""
    try:
        return Curation.model_validate(document), []
    except ValidationError as error:
        found = error.errors()
    for place in [entry["loc"] for entry in found if entry["loc"]]:
        document = _with(document, place, _stand_in(place))
    curation = Curation.model_validate(document) if isinstance(document, dict) else Curation()
    return curation, [_worded(entry) for entry in found]


def _stand_in(place: Path) -> Any:
    """A section has a title, and what comes after an entry of a list stays at its place; all else may be left out."""
    match place:
        case ("sections", int()):
            return {"title": UNREADABLE}
        case ("sections", int(), "title") | ("sections", int(), "parameters", int()):
            return UNREADABLE
    return None


def _with(document: Any, path: Path, value: Any) -> Any:
    """A copy with another value at a place; None: without one."""
    key, *rest = path
    copy: Any = list(document) if isinstance(document, list) else dict(document)
    if rest:
        copy[key] = _with(copy[key], tuple(rest), value)
    elif value is None:
        copy.pop(key, None)
    else:
        copy[key] = value
    return copy


def _said(entry: ParameterCuration) -> dict[str, Any]:
    said = entry.model_dump(mode="json", exclude_unset=True)
    return {
        name: value
        for name, value in said.items()
        if name in {"default", "locked"} or value not in (None, "", False)
    }


def _remove(document: Any, path: Path) -> None:
    *above, last = path
    for part in above:
        document = document[part]
    del document[last]


def _worded(error: ErrorDetails) -> FieldError:
    place = error["loc"]
    if not place:
        return FieldError("", gettext("A form is an object with named values; {} takes all of it away."))
    if error["type"] == "extra_forbidden":
        model = ParameterCuration if place[0] == "parameters" else Section if len(place) > 1 else Curation
        hint = did_you_mean(str(place[-1]), model.model_fields)
        return FieldError(
            pointer_to(place), gettext("There is no %(name)r here.") % {"name": str(place[-1])} + hint
        )
    sentence = re.sub(r"^(Input|Value|String|List) should", "This must", error["msg"]).removeprefix(
        "Value error, "
    )
    return FieldError(pointer_to(place), sentence.rstrip(".") + ".")
