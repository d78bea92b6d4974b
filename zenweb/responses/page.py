"""Pages of lists."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from zenweb.responses.entity import Entity

EntityType = TypeVar("EntityType", bound=Entity)


@dataclass(frozen=True)
class Page(Generic[EntityType]):
    """Some of many, as a sequence: `len(page)`, `page[0]`, `for run in page`. `all` goes on over the pages after it."""

    items: list[EntityType]
    total: int
    index: int
    total_pages: int
    max_size: int = 0
    turn: "Callable[[int], Page[EntityType]] | None" = field(default=None, repr=False, compare=False)
    """Asks for the page of this number, of the same list."""

    @classmethod
    def of(
        cls,
        entities: Callable[[Mapping[str, Any]], EntityType],
        answer: Mapping[str, Any],
        turn: "Callable[[int], Page[EntityType]] | None" = None,
    ) -> Self:
        items = [entities(item) for item in answer["items"]]
        return cls(items, answer["total"], answer["index"], answer["total_pages"], answer["max_size"], turn)

    def all(self) -> Iterator[EntityType]:
        """Its things and those of all pages after it, each page asked for when it is reached.

        Things that are made meanwhile may move others onto the next page, where they come once more.
        """
        page = self
        while True:
            for item in page.items:  # noqa: UP028  # the asynchronous form cannot delegate
                yield item
            if page.turn is None or page.index >= page.total_pages:
                return
            page = page.turn(page.index + 1)

    def __iter__(self) -> Iterator[EntityType]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> EntityType:
        return self.items[position]
