"""Loading artifacts by their id or name, from anywhere that a server can be reached."""

from typing import Any
from uuid import UUID

from zenweb.client import Client


def load_artifact(name_or_id: str | UUID, version: str | int | None = None) -> Any:
    """The value of an artifact version.

    `name_or_id` is an artifact version's id, or an artifact's name: of that name, the given version or else the latest.
    Raises `DoesNotExist` where there is none.
    """
    return Client().get_artifact_version(name_or_id, version).load()
