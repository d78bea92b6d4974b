"""`Annotated[T, ArtifactConfig(name="model")]`: what ZenML's users write where a name alone says the same."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ArtifactConfig:
    """Names an output. Versions are numbered here, so that the other things are accepted and have no effect."""

    name: str | None = None
    version: str | int | None = None
    tags: list[str] | None = None
    run_metadata: dict[str, Any] | None = None
    artifact_type: Any = None

    @property
    def ineffective(self) -> list[str]:
        """What is said beside the name."""
        others = ("version", "tags", "run_metadata", "artifact_type")
        return [field for field in others if getattr(self, field) is not None]
