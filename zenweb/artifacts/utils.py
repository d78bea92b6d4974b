"""Loading artifacts by their id or name, from anywhere that a server can be reached; saving them inside a step."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from zenweb.artifacts.unmaterialized_artifact import UnmaterializedArtifact
from zenweb.client import Client
from zenweb.exceptions import NoStepIsRunning
from zenweb.execution.current_step import current_step


def load_artifact(name_or_id: str | UUID, version: str | int | None = None) -> Any:
    """The value of an artifact version.

    `name_or_id` is an artifact version's id, or an artifact's name: of that name, the given version or else the latest.
    Raises `DoesNotExist` where there is none.
    """
    return Client().get_artifact_version(name_or_id, version).load()


def save_artifact(
    data: Any, name: str, *, user_metadata: Mapping[str, Any] | None = None
) -> UnmaterializedArtifact:
    """Inside a step: keep a value beside the step's outputs, as a new version of the artifact with this name.

    It is there for others once the step has completed; of a step that fails, nothing is kept. What is returned has
    its `id`, and `load()`. Raises ValidationFailed for a name that names nothing, NoStepIsRunning outside of a step.
    """
    step = current_step()
    if step is None:
        raise NoStepIsRunning(
            "save_artifact() works only inside a running step. Return the value from a step, or, to store a file, use "
            "Client().upload_file(path)."
        )
    return step.save_artifact(data, name, user_metadata)
