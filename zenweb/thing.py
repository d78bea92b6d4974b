"""What is true of every answer about a thing of the server, whoever asks: this module asks for nothing."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

ARTIFACT_VERSIONS = "/artifact_versions"


class Thing(ABC):
    """One thing on the server, in the envelope `{id, name, body, metadata, resources}`."""

    path: ClassVar[str]

    def __init__(self, envelope: Mapping[str, Any]) -> None:
        self._envelope = dict(envelope)
        self.id = UUID(self._envelope["id"])

    def __repr__(self) -> str:
        body = self._envelope.get("body") or {}
        name = self._envelope.get("name") or (body.get("artifact") or {}).get("name")
        words = (type(self).__name__, repr(name) if name else "", body.get("status"), str(self.id))
        return f"<{' '.join(filter(None, words))}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def envelope(self) -> dict[str, Any]:
        """As the server told it: what was left out there is not here."""
        return self._envelope

    @property
    def name(self) -> str:
        """What it is called; empty where it has no name."""
        return str(self._envelope.get("name") or "")

    @property
    def created(self) -> datetime:
        """When it was made, in UTC."""
        return moment(self.body["created"])

    @property
    def updated(self) -> datetime:
        """When it was last changed, in UTC."""
        return moment(self.body["updated"])

    @property
    def body(self) -> dict[str, Any]:
        """What every answer says of it, as JSON: docs/api.md has the shapes."""
        return self._section("body")

    @property
    def metadata(self) -> dict[str, Any]:
        """What else is known of it, as JSON; lists leave it out."""
        return self._section("metadata")

    @property
    def resources(self) -> dict[str, Any]:
        """What it belongs to and consists of, as JSON; lists leave it out."""
        return self._section("resources")

    def _section(self, name: str) -> dict[str, Any]:
        if self._envelope.get(name) is None:
            self._complete(name)
        return self._envelope.get(name) or {}

    @abstractmethod
    def _complete(self, name: str) -> None:
        """Get what a short answer left out, or raise what says how to get it."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment_or_none(text: str | None) -> datetime | None:
    return moment(text) if text else None
