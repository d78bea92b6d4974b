"""What a run is started with: the pydantic model for Python users, and reading it from YAML."""

import math
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticSerializationError, to_jsonable_python

from zenweb.config.hooks import hook_path
from zenweb.config.resources import Settings
from zenweb.config.spec import Mode, Priority, QueueName, StepRetry, Timeout
from zenweb.config.suggestions import suggestion
from zenweb.config.yaml_text import YamlRefused, read
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to

# Its schema is written out where it is used, so that no name of ours stands among the `$defs` of a pipeline's types.
Retry = Annotated[StepRetry, WithJsonSchema(StepRetry.model_json_schema())]


# What pydantic writes for a secret that is not empty.
MASK = "*" * 10
ANYTHING = TypeAdapter(Any)

# Whether it names anything is said in one sentence by whoever checks it, not by the schema.
HookSource = Annotated[
    str, BeforeValidator(hook_path), WithJsonSchema({"type": ["string", "object", "null"]})
]


class Section(BaseModel):
    """A part of a configuration, read and written as attributes or as items."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())

    def __getitem__(self, key: str) -> Any:
        self._check_known(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_known(key)
        setattr(self, key, value)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or else the default: where it is not set and where there is no such key."""
        value = getattr(self, key, None) if key in type(self).model_fields else None
        return default if value is None else value

    def to_wire(self) -> dict[str, Any]:
        """As JSON, without the keys that are not set."""
        values = {name: _to_wire(name, getattr(self, name)) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if value is not None and value != {}}

    def _check_known(self, key: str) -> None:
        known = type(self).model_fields
        if key not in known:
            raise KeyError(f"There is no {key!r} in a {type(self).__name__}.{suggestion(key, known)}")


class StepRunConfiguration(Section):
    """What one step is run with. Beside the parameters, these are ZenML's keys and a few of our own."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    enable_cache: bool | None = None
    retry: Retry | None = None
    timeout: Timeout | None = None
    queue: QueueName | None = None
    priority: Priority | None = None
    settings: Settings | None = None
    extra: dict[str, Any] | None = None
    substitutions: dict[str, str] | None = None
    enable_artifact_metadata: bool | None = None
    enable_artifact_visualization: bool | None = None
    enable_step_logs: bool | None = None
    step_operator: bool | str | None = None
    experiment_tracker: bool | str | None = None
    environment: dict[str, Any] | None = None
    secrets: list[str | UUID] | None = None
    model: dict[str, Any] | None = None
    failure_hook_source: HookSource | None = None
    success_hook_source: HookSource | None = None
    start_hook_source: Any = None
    end_hook_source: Any = None
    cache_policy: Any = None
    runtime: str | None = None
    heartbeat_healthy_threshold: int | None = None
    group: Any = None
    outputs: dict[str, Any] | None = None


class StepRunConfigurations(RootModel[dict[str, StepRunConfiguration]]):
    """The steps' configurations by the steps' names."""

    model_config = ConfigDict(validate_assignment=True)

    def __getitem__(self, name: str) -> StepRunConfiguration:
        if name not in self.root:
            raise KeyError(f"There is no step {name!r} in this configuration.{suggestion(name, self.root)}")
        return self.root[name]

    def __setitem__(self, name: str, value: StepRunConfiguration | Mapping[str, Any]) -> None:
        self.root[name] = StepRunConfiguration.model_validate(value)

    def __delitem__(self, name: str) -> None:
        del self.root[name]

    def __contains__(self, name: str) -> bool:
        return name in self.root

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping's iterator, not pydantic's
        return iter(self.root)

    def __len__(self) -> int:
        return len(self.root)

    def keys(self) -> Iterator[str]:
        return iter(self.root)

    def items(self) -> Iterator[tuple[str, StepRunConfiguration]]:
        return iter(self.root.items())

    def get(self, name: str, default: Any = None) -> Any:
        return self.root.get(name, default)

    def to_wire(self) -> dict[str, Any]:
        return {name: wired for name, step in self.root.items() if (wired := step.to_wire())}


class PipelineRunConfiguration(Section):
    """What a run is started with. Every key may be left out."""

    run_name: str | None = None
    """May hold `{date}`, `{time}` and the names of `substitutions`."""
    steps: StepRunConfigurations = Field(default_factory=lambda: StepRunConfigurations({}))
    parameters: dict[str, Any] | None = None
    """The pipeline function's own parameters."""
    enable_cache: bool | None = None
    retry: Retry | None = None
    queue: QueueName | None = None
    priority: Priority | None = None
    timeout: Timeout | None = None
    """Of the whole run, from the start of its first step."""
    execution_mode: Mode | None = None
    tags: list[Any] | None = None
    settings: Settings | None = None
    extra: dict[str, Any] | None = None
    substitutions: dict[str, str] | None = None
    enable_artifact_metadata: bool | None = None
    enable_artifact_visualization: bool | None = None
    enable_step_logs: bool | None = None
    enable_pipeline_logs: bool | None = None
    enable_heartbeat: bool | None = None
    environment: dict[str, Any] | None = None
    secrets: list[str | UUID] | None = None
    model: dict[str, Any] | None = None
    schedule: Any = None
    build: Any = None
    init_hook_source: Any = None
    init_hook_kwargs: dict[str, Any] | None = None
    cleanup_hook_source: Any = None
    failure_hook_source: HookSource | None = None
    success_hook_source: HookSource | None = None
    start_hook_source: Any = None
    end_hook_source: Any = None
    cache_policy: Any = None

    if TYPE_CHECKING:  # steps may be given as plain data, which a checker cannot see from the field

        def __init__(self, **values: Any) -> None: ...

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Self:
        """Read it from a YAML file; a key that does not exist is refused with its place in the file."""
        try:
            return cls.model_validate(read_yaml(path))
        except ValidationError as error:
            raise ValidationFailed(field_errors(error)) from error


def read_yaml(path: str | PathLike[str]) -> dict[str, Any]:
    """The run configuration in a YAML file, as plain data that the server still has to check."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationFailed(f"The configuration {str(path)!r} cannot be read: {error}.") from error
    return parse_yaml(text, Path(path).name)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """YAML 1.2, see `yaml_text`. `name` says in errors where the text is from."""
    try:
        content = read(text).value
    except YamlRefused as error:
        line = f", line {error.line}" if error.line else ""
        raise ValidationFailed(f"{name}{line}: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise ValidationFailed(
            f"{name} holds {type(content).__name__}, not names with values such as `steps:`."
        )
    configuration: dict[str, Any] = content or {}
    return configuration


def wire_configuration(configuration: PipelineRunConfiguration | Mapping[str, Any] | None) -> dict[str, Any]:
    """What is sent to the server, which checks it. Plain data goes as it is, so that a wrong key is heard of."""
    if isinstance(configuration, Section):
        return configuration.to_wire()
    plain: dict[str, Any] = to_json(configuration or {})
    return plain


def to_json(value: Any, pointer: str = "") -> Any:
    """A value a person wrote in Python or YAML, as JSON. Secrets are laid open: they are about to be sent."""
    match value:
        case Section():
            return value.to_wire()
        case Mapping():
            return {
                str(key): to_json(member, pointer + pointer_to([str(key)])) for key, member in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [to_json(member, f"{pointer}/{index}") for index, member in enumerate(value)]
        case SecretStr() | SecretBytes() | Secret():
            return to_json(value.get_secret_value(), pointer)
        case float() if not math.isfinite(value):
            raise ValidationFailed([FieldError(pointer, f"JSON has no number {value}; use None or a text.")])
    try:
        plain = to_jsonable_python(value)
    except PydanticSerializationError as error:
        refused = f"A {type(value).__name__} has no JSON form: give plain values, or the id of an artifact."
        raise ValidationFailed([FieldError(pointer, refused)]) from error
    if value is None or isinstance(value, str | int | float):
        return plain
    return to_json(_opened(plain, value, pointer) if _is_masked(plain) else plain, pointer)


def field_errors(error: ValidationError) -> list[FieldError]:
    """Pydantic's errors, each with its JSON pointer."""
    return [
        FieldError(pointer_to(found["loc"]), f"{found['msg']}.") for found in error.errors(include_url=False)
    ]


def _to_wire(name: str, value: Any) -> Any:
    return value.to_wire() if isinstance(value, StepRunConfigurations) else to_json(value, f"/{name}")


def _opened(plain: Any, value: Any, pointer: str) -> Any:
    """The JSON of a model or a dataclass, with the secrets that stand masked in it as they are."""
    try:
        return _unmasked(plain, ANYTHING.dump_python(value))
    except (PydanticSerializationError, TypeError, ValueError) as error:
        refused = f"A {type(value).__name__} holds a secret in a way that cannot be sent: give plain values."
        raise ValidationFailed([FieldError(pointer, refused)]) from error


def _unmasked(plain: Any, value: Any) -> Any:
    """`value` is in Python what `plain` is in JSON. Raises TypeError where the two do not go together."""
    match value:
        case SecretStr() | SecretBytes() | Secret():
            return value.get_secret_value() if plain == MASK else plain  # else a serializer's own word for it
        case Mapping() if isinstance(plain, dict):
            pairs = zip(plain.items(), value.values(), strict=True)
            return {key: _unmasked(member, inner) for (key, member), inner in pairs}
        case list() | tuple() if isinstance(plain, list):
            return [_unmasked(member, inner) for member, inner in zip(plain, value, strict=True)]
        case set() | frozenset() if all(isinstance(member, SecretStr | SecretBytes) for member in value):
            return list(value)
    if _is_masked(plain) and not isinstance(value, str):
        raise TypeError(f"a secret is masked in a {type(value).__name__}")
    return plain


def _is_masked(plain: Any) -> bool:
    match plain:
        case dict():
            return any(map(_is_masked, plain.values()))
        case list():
            return any(map(_is_masked, plain))
    return bool(plain == MASK)
