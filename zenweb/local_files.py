"""Files of the caller's machine among the values of a run: each is uploaded, and a reference takes its place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.config.file_references import FileReference
from zenweb.config.run_configuration import PipelineRunConfiguration, StepRunConfiguration
from zenweb.exceptions import ValidationFailed
from zenweb.responses import ArtifactVersionResponse

PIECE = 64 * 1024
Upload = Callable[[Path], ArtifactVersionResponse]
RunConfiguration = PipelineRunConfiguration | Mapping[str, Any]


@dataclass(frozen=True)
class LocalFile:
    """A file to be sent: read piece by piece, and from its beginning each time it is."""

    path: Path
    size: int

    @classmethod
    def at(cls, path: str | PathLike[str]) -> "LocalFile":
        found = Path(path).expanduser()
        if not found.is_file():
            raise ValidationFailed(
                f"There is no file {str(path)!r} here to upload. "
                "A path on the machine where the step runs is given as a text."
            )
        return cls(found, found.stat().st_size)

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/octet-stream", "Content-Length": str(self.size)}

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


def with_references(configuration: RunConfiguration | None, upload: Upload) -> RunConfiguration | None:
    """The configuration with a reference wherever a step's parameter is a Path of this machine or an artifact."""
    if isinstance(configuration, PipelineRunConfiguration):
        steps = {name: _step(step, upload) for name, step in configuration.steps.items()}
        changed = {name: step for name, step in steps.items() if step is not configuration.steps[name]}
        if not changed:
            return configuration
        return {**configuration.to_wire(), "steps": {**configuration.steps.to_wire(), **_wire(changed)}}
    if not isinstance(configuration, Mapping) or not isinstance(configuration.get("steps"), Mapping):
        return configuration
    return {
        **configuration,
        "steps": {name: _step(step, upload) for name, step in configuration["steps"].items()},
    }


def _step(step: Any, upload: Upload) -> Any:
    if isinstance(step, StepRunConfiguration):
        parameters = _referring(step.parameters, upload)
        return step if parameters == step.parameters else step.model_copy(update={"parameters": parameters})
    if isinstance(step, Mapping) and "parameters" in step:
        return {**step, "parameters": _referring(step["parameters"], upload)}
    return step


def _referring(value: Any, upload: Upload) -> Any:
    match value:
        case Path():
            return FileReference(str(upload(value).id)).as_json()
        case ArtifactVersionResponse() | UnmaterializedArtifact():
            return FileReference(str(value.id)).as_json()
        case Mapping():
            return {name: _referring(member, upload) for name, member in value.items()}
        case list() | tuple():
            return [_referring(member, upload) for member in value]
    return value


def _wire(steps: Mapping[str, StepRunConfiguration]) -> dict[str, Any]:
    return {name: step.to_wire() for name, step in steps.items()}
