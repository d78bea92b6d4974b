"""An artifact that a step takes without loading it."""

from dataclasses import dataclass
from typing import Any

from zenweb.artifacts import materializers
from zenweb.enums import ArtifactType


@dataclass(frozen=True)
class UnmaterializedArtifact:
    """What is known of a stored value. Annotate a step's input with it to get this instead of the value."""

    id: str
    name: str
    version: str
    uri: str
    type: ArtifactType
    data_type: str
    materializer: str

    def load(self) -> Any:
        """The value itself."""
        return materializers.load(self.uri, self.materializer)
