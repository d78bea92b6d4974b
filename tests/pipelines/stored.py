"""Steps that are handed what is stored already."""

from uuid import UUID

from zenweb import pipeline, step
from zenweb.artifacts.references import ArtifactReference
from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact


@step
def make(size: int = 3) -> list[int]:
    return list(range(size))


@step
def total(numbers: list[int], factor: int = 1) -> int:
    return sum(numbers) * factor


@step
def name_of(artifact: UnmaterializedArtifact) -> str:
    return artifact.name


@pipeline
def making_pipeline() -> None:
    make()


@pipeline
def stored_pipeline(kept: UUID = UUID(int=0)) -> None:
    total(ArtifactReference(kept))
    name_of(ArtifactReference(kept))
