"""What stands for a stored artifact version in code that puts a pipeline together."""

from uuid import UUID


class ArtifactReference:
    """The artifact version of this id: handed to a step in a pipeline function, each run loads it for that step.

    So does what `Client().get_artifact_version(...)` returns; this one needs no server to put a pipeline together.
    """

    def __init__(self, id: UUID | str) -> None:  # noqa: A002  # as everywhere
        self.id = UUID(str(id))
