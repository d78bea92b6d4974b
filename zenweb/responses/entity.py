"""What every answer about a thing of the server shares, and pages of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from zenweb.transport import Transport


class Entity:
    """One thing on the server, in the envelope `{id, name, body, metadata, resources}`."""

    path: ClassVar[str]

    def __init__(self, transport: "Transport", envelope: Mapping[str, Any]) -> None:
        self._transport = transport
        self._envelope = dict(envelope)
        self.id = UUID(self._envelope["id"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.id}>"

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
        return str(self._envelope.get("name") or "")

    @property
    def created(self) -> datetime:
        return moment(self.body["created"])

    @property
    def updated(self) -> datetime:
        return moment(self.body["updated"])

    @property
    def body(self) -> dict[str, Any]:
        return self._section("body")

    @property
    def metadata(self) -> dict[str, Any]:
        return self._section("metadata")

    @property
    def resources(self) -> dict[str, Any]:
        return self._section("resources")

    def refresh(self) -> Self:
        """Ask again."""
        self._envelope = self._transport.get(f"{self.path}/{self.id}", hydrate=True)
        return self

    def _section(self, name: str) -> dict[str, Any]:
        if self._envelope.get(name) is None:
            self.refresh()
        return self._envelope.get(name) or {}


EntityType = TypeVar("EntityType", bound=Entity)


@dataclass(frozen=True)
class Page(Generic[EntityType]):
    """Some of many."""

    items: list[EntityType]
    total: int
    index: int
    total_pages: int
    max_size: int = 0

    @classmethod
    def of(cls, entities: Callable[[Mapping[str, Any]], EntityType], answer: Mapping[str, Any]) -> Self:
        items = [entities(item) for item in answer["items"]]
        return cls(items, answer["total"], answer["index"], answer["total_pages"], answer["max_size"])

    def __iter__(self) -> Iterator[EntityType]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> EntityType:
        return self.items[position]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moment_or_none(text: str | None) -> datetime | None:
    return moment(text) if text else None
