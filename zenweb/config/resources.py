"""`settings={"resources": {...}}`: what a step needs, in ZenML's words, and the queue whose workers have it.

A queue's workers are what decides where a step runs and how many at once; the numbers are kept for the record.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ValidationError, WithJsonSchema

from zenweb.config.spec import StepResources

DOCKER, REQUIREMENTS = "docker", "requirements"
RESOURCES = "resources"
NO_QUEUE = (
    "gpu_count: no queue is named, so it may run where there is no GPU. "
    'Name one whose workers have it: {"queue": "gpu"} beside gpu_count, or the step\'s queue.'
)


def with_checked_resources(settings: Any) -> dict[str, Any]:
    """ZenML's settings have many keys; this one is understood, so it has to make sense. Plain data stays plain."""
    if not isinstance(settings, Mapping):
        raise ValueError("settings are values with names, such as resources.")
    said = settings.get(RESOURCES)
    if said is None:
        return dict(settings)
    plain = said.model_dump(exclude_none=True) if isinstance(said, BaseModel) else said
    try:
        StepResources.model_validate(plain)
    except ValidationError as error:
        reasons = (
            f"{'.'.join(map(str, (RESOURCES, *found['loc'])))}: {found['msg']}" for found in error.errors()
        )
        raise ValueError("; ".join(reasons)) from error
    return {**settings, RESOURCES: plain}


# Written out where it is used, so that no name of ours stands among the `$defs` of a pipeline's types.
Settings = Annotated[
    dict[str, Any],
    AfterValidator(with_checked_resources),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {RESOURCES: {"anyOf": [StepResources.model_json_schema(), {"type": "null"}]}},
        }
    ),
]


@dataclass(frozen=True)
class Resources:
    """What one place says, or all of them together."""

    queue: str | None = None
    needs: dict[str, Any] = field(default_factory=dict)
    """cpu_count, gpu_count and memory, as far as they are said."""

    @classmethod
    def said_by(cls, settings: Any, queue: str | None) -> Self:
        """Of a place's settings and its own `queue`, which goes first."""
        said = settings.get(RESOURCES) if isinstance(settings, Mapping) else None
        given = said.model_dump() if isinstance(said, BaseModel) else dict(said or {})
        named = given.pop("queue", None)
        return cls(queue or named, {key: value for key, value in given.items() if value is not None})

    @classmethod
    def laid_over(cls, layers: Iterable[Self]) -> Self:
        """The last that says a thing has the last word."""
        queue, needs = None, dict[str, Any]()
        for layer in layers:
            queue, needs = layer.queue or queue, {**needs, **layer.needs}
        return cls(queue, needs)

    def missing_queue(self) -> str:
        """What to say where a GPU is asked for and nothing says where there is one."""
        return NO_QUEUE if self.needs.get("gpu_count") and not self.queue else ""

    def notes(self) -> Iterator[str]:
        """What the author of a step should know about these."""
        note = self.missing_queue()
        for name in ("cpu_count", "gpu_count", "memory"):
            if name in self.needs and not (name == "gpu_count" and note):
                yield f"{name}: kept with the run; what a step gets is decided by its queue's workers"
        if note:
            yield note


def ineffective(settings: Any) -> list[str]:
    """The keys of settings that nothing comes of."""
    return [str(key) for key in settings if key != RESOURCES] if isinstance(settings, Mapping) else []


def ineffective_of_pipeline(settings: Any) -> list[str]:
    """The same of a pipeline's, whose requirements are installed wherever its steps run."""
    found = []
    for key in ineffective(settings):
        docker = settings[key] if key == DOCKER else None
        if isinstance(docker, Mapping):
            found += [f"{key}/{name}" for name in docker if name != REQUIREMENTS]
        else:
            found.append(key)
    return found
