"""What is read once and kept, where many of a kind can be read together."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

V = TypeVar("V")


class Kept(Generic[V]):
    """Things by their ids, those that were asked for last: an `lru_cache` that can be filled with many at once."""

    def __init__(
        self, read: Callable[[Sequence[UUID]], Mapping[UUID, V]], missing: type[Exception], most: int
    ):
        """`missing`: what is raised for an id that there is not."""
        self._read, self._missing, self._most = read, missing, most
        self._things: OrderedDict[UUID, V] = OrderedDict()
        self._lock = Lock()

    def __call__(self, key: UUID) -> V:
        with self._lock:
            if key in self._things:
                self._things.move_to_end(key)
                return self._things[key]
        if (found := self._read([key]).get(key)) is None:
            raise self._missing(key)
        self._keep({key: found})
        return found

    def read(self, keys: Iterable[UUID]) -> None:
        """Have these at hand, as many as are kept, in one query; in none if they are."""
        wanted = list(dict.fromkeys(keys))[: self._most]
        with self._lock:
            for key in wanted:
                if key in self._things:
                    self._things.move_to_end(key)
            unread = [key for key in wanted if key not in self._things]
        if unread:
            self._keep(self._read(unread))

    def cache_clear(self) -> None:
        with self._lock:
            self._things.clear()

    def _keep(self, found: Mapping[UUID, V]) -> None:
        with self._lock:
            self._things.update(found)
            while len(self._things) > self._most:
                self._things.popitem(last=False)
