"""A run template as a file: one YAML document that says all of it, without ids, times and secrets."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from zenweb.config.spec import PipelineSpec
from zenweb.config.suggestions import did_you_mean
from zenweb.config.versions import up_to
from zenweb.config.yaml_text import YamlRefused, read, rewrite, write
from zenweb.enums import ConcurrencyPolicy, RoleWord
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to

FORMAT: Final = 1
LIMIT: Final = 10 * 2**20
"""Characters of a document."""
HASH_MARK = "sha256:"
Name = Annotated[str, Field(min_length=1, max_length=255)]
Configuration = dict[str, Any]


class Part(BaseModel):
    """A misspelt key would silently do nothing, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FrozenPipeline(Part):
    """A pipeline as it was frozen, and the hash of the code that belongs to it."""

    name: Name
    code: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", examples=["sha256:" + "9f" * 32])]
    python_version: Annotated[str, Field(max_length=20)]
    client_version: Annotated[str, Field(max_length=50)]
    requirements: list[str] = Field(default_factory=list)
    config_template: Configuration
    spec: Configuration
    config_schema: Configuration

    @property
    def sha256(self) -> str:
        """Of the code archive."""
        return self.code.removeprefix(HASH_MARK)


class Concurrency(Part):
    """How many runs of it may go on at once (null: any number), and what becomes of one more."""

    max_concurrent_runs: int | None = None
    policy: ConcurrencyPolicy = ConcurrencyPolicy.QUEUE


class Access(Part):
    """Who is what to it: users by their names, groups as `group:NAME`. Nobody else was given a role on it."""

    restricted: bool = False
    roles: dict[str, RoleWord] = Field(default_factory=dict)


class TemplateDocument(Part):
    """All of a run template that can be carried elsewhere. What is left out stays on the server as it is there."""

    format: Annotated[Literal[1], up_to(FORMAT, "The template file")]
    name: Name
    description: str | None = None
    tags: list[str] | None = None
    hidden: bool | None = None
    enabled: bool | None = None
    concurrency: Concurrency | None = None
    stack: Name | None = None
    """By its name, on whichever server it is applied to. Left out: as it is there, else the only remote one."""
    presets: dict[Name, Configuration] | None = None
    """The shared ones by their names; a template has no others, where this is said."""
    access: Access | None = None
    curation: Configuration | None = None
    pipeline: FrozenPipeline | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is written: in this order, presets and roles by name, without what is not said."""
        said = self.model_dump(mode="json", exclude_none=False)
        document = {key: value for key, value in said.items() if value is not None}
        if self.presets is not None:
            document["presets"] = dict(sorted(self.presets.items()))
        if self.access is not None:
            document["access"]["roles"] = dict(sorted(self.access.roles.items()))
        return document


def read_document(value: Any) -> TemplateDocument:
    """What JSON says. Raises ValidationFailed with all that is wrong and the pointers to that."""
    if not isinstance(value, Mapping) or "format" not in value:
        raise ValidationFailed("This is no template file: those begin with `format: 1`.")
    try:
        return TemplateDocument.model_validate(value)
    except ValidationError as error:
        raise ValidationFailed([_worded(entry) for entry in error.errors()]) from error


def read_template_file(text: str, name: str) -> TemplateDocument:
    """What YAML says; `name` is told in errors, with the line."""
    if len(text) > LIMIT:
        raise ValidationFailed(f"{name} has more than {LIMIT:,} characters: this is no template file.")
    try:
        found = read(text)
    except YamlRefused as error:
        line = f", line {error.line}" if error.line else ""
        raise ValidationFailed(f"{name}{line}: {error}") from error
    try:
        return read_document(found.value)
    except ValidationFailed as error:
        told = [
            FieldError(one.pointer, f"{name}, line {found.line_of(one.pointer)}: {one.message}")
            for one in error.errors
        ]
        raise ValidationFailed(told) from error


def write_template_file(document: TemplateDocument, *, over: str | None = None) -> str:
    """The same document is the same text. `over`: a text that is to say it, with its comments and order of keys."""
    said = document.to_json()
    if over is None:
        return write(said)
    former = read(over).value
    return rewrite(over, _in_order_of(former, said)) if isinstance(former, dict) else write(said)


def frozen_spec(pipeline: FrozenPipeline) -> PipelineSpec:
    """The steps of a frozen pipeline. Raises ValidationFailed, for one that was made by a newer ZenWeb too."""
    try:
        return PipelineSpec.model_validate(pipeline.spec)
    except ValidationError as error:
        told = [
            FieldError("/pipeline/spec" + found.pointer, found.message)
            for found in map(_worded, error.errors())
        ]
        raise ValidationFailed(told) from error


def same_json(one: Any, other: Any) -> bool:
    """Whether two values are the same as JSON, where 1 is not 1.0 and the order of keys says nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _in_order_of(former: Any, said: Any) -> Any:
    """What is said, with keys that were there before in their order, and new ones after them."""
    if isinstance(former, dict) and isinstance(said, dict):
        keys = [*(key for key in former if key in said), *(key for key in said if key not in former)]
        return {key: _in_order_of(former.get(key), said[key]) for key in keys}
    return said


def _worded(error: ErrorDetails) -> FieldError:
    place: Sequence[str | int] = error["loc"]
    sentence = error["msg"].removeprefix("Value error, ").rstrip(".") + "."
    if error["type"] == "extra_forbidden":
        name = str(place[-1])
        sentence = f"There is no {name!r} here.{did_you_mean(name, _keys_at(place[:-1]))}"
    return FieldError(pointer_to(place), sentence)


def _keys_at(place: Sequence[str | int]) -> list[str]:
    parts: dict[str, type[Part]] = {"pipeline": FrozenPipeline, "concurrency": Concurrency, "access": Access}
    return list(parts.get(str(place[0]) if place else "", TemplateDocument).model_fields)
