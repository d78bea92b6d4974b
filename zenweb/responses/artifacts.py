"""Values that steps made, and files that were uploaded."""

from collections.abc import Mapping
from typing import Any

from zenweb.artifacts import materializers
from zenweb.artifacts.references import ArtifactReference
from zenweb.execution.metadata import decode_metadata
from zenweb.responses.entity import Entity
from zenweb.thing import ARTIFACT_VERSIONS


class ArtifactVersionResponse(Entity, ArtifactReference):
    """One value that a step made, or a file that was uploaded.

    In a pipeline function it can be handed to a step, as an output of another step can.
    """

    path = ARTIFACT_VERSIONS

    @property
    def name(self) -> str:
        """Of the artifact that it is a version of."""
        return str(self.body["artifact"]["name"])

    @property
    def version(self) -> str:
        """A number that counts up, as a text."""
        return str(self.body["version"])

    @property
    def uri(self) -> str:
        """The folder in the artifact store."""
        return str(self.body["uri"])

    @property
    def type(self) -> str:
        """`DataArtifact`, `ModelArtifact` and so on: see `zenweb.enums.ArtifactType`."""
        return str(self.body["type"])

    @property
    def materializer(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["materializer"])

    @property
    def data_type(self) -> str:
        """`module.Class`"""
        return _class_path(self.body["data_type"])

    @property
    def is_output(self) -> bool:
        """What a step gave out; not what it saved beside its outputs, and no upload."""
        return self.body.get("save_type") != "manual"

    @property
    def run_metadata(self) -> dict[str, Any]:
        """Facts about the value, and what was noted about it."""
        return decode_metadata(self.metadata["run_metadata"])

    def load(self) -> Any:
        """The value itself, from the artifact store."""
        return materializers.load(self.uri, self.materializer)


def _class_path(source: Mapping[str, str]) -> str:
    return f"{source['module']}.{source['attribute']}"
