"""Pages of lists of any length: found from the nearer end by their keys alone, and counted no further than it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any, Protocol, Self

from django.core.cache import cache
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

EXACT = 10_000  # up to so many rows a list is always counted exactly
REMEMBERED = 10  # seconds for which a larger count is told again
TRIES = 3  # to read a page from the end while rows come and go
_counting = Lock()


class Counts(Protocol):
    """How many rows there are, without looking at them."""

    @property
    def total(self) -> int:
        """Asked once; `all` gives counts that ask anew."""

    def all(self) -> Self: ...


@dataclass(frozen=True)
class Found:
    """The rows of one page, and how many there are on all of them."""

    rows: list[Any]
    total: int


def find_page(rows: QuerySet[Any], first: int, size: int, counts: Counts | None = None) -> Found:
    """The rows from the `first` on (0 is the first of all). They have an order in which no two are alike.

    Without `counts` it is counted how many there are: exactly up to `EXACT`, beyond that as it was at most `REMEMBERED`
    seconds ago, and never so that the next page would be left out.
    """
    keys, total = _keys_counted(rows, first, size) if counts is None else _keys(rows, first, size, counts)
    found = _unconditionally(rows).in_bulk(keys)
    return Found([found[key] for key in keys if key in found], total)


class LongPaginator(Paginator):  # type: ignore[type-arg]  # it cannot be subscripted when it runs
    """Django's, for lists that are too long to be counted and skipped through each time."""

    def __init__(self, rows: QuerySet[Any], size: int, counts: Counts | None = None) -> None:
        super().__init__(rows, size)
        self.counts = counts

    @cached_property
    def count(self) -> int:
        return total_of(self.object_list, self.counts)  # type: ignore[arg-type]  # it is given a queryset

    def page(self, number: int | str) -> "Page[Any]":
        index = self.validate_number(number)
        rows: Any = self.object_list
        found = find_page(rows, (index - 1) * self.per_page, self.per_page, self.counts)
        return Page(found.rows, index, self)


def total_of(rows: QuerySet[Any], counts: Counts | None = None) -> int:
    """How many rows there are, as `find_page` tells it."""
    if counts is not None:
        return counts.total
    counted = rows.order_by().values("pk")[: EXACT + 1].count()
    return counted if counted <= EXACT else max(counted, _remembered_count(rows))


def _keys(rows: QuerySet[Any], first: int, size: int, counts: Counts) -> tuple[Sequence[Any], int]:
    total = counts.total
    for _ in range(TRIES):
        if first <= total // 2:
            break
        from_end = rows.reverse().values_list("pk", flat=True)
        keys = list(from_end[max(0, total - first - size) : max(0, total - first)])
        former, total = total, counts.all().total
        if former == total:
            return keys[::-1], total
    return list(rows.values_list("pk", flat=True)[first : first + size]), total


def _keys_counted(rows: QuerySet[Any], first: int, size: int) -> tuple[Sequence[Any], int]:
    keys = list(rows.values_list("pk", flat=True)[first : first + size + 1])
    seen = first + len(keys)
    if len(keys) <= size and (keys or not first):
        return keys, seen
    return keys[:size], max(seen if keys else 0, total_of(rows))


def _unconditionally(rows: QuerySet[Any]) -> QuerySet[Any]:
    """What is known by its key needs no other condition, and SQLite would look for it by that."""
    rows = rows.order_by()
    rows.query.clear_where()
    return rows


def _remembered_count(rows: QuerySet[Any]) -> int:
    """One at a time counts: the others are told what it found."""
    sql, parameters = rows.order_by().values("pk").query.sql_with_params()
    key = f"count-{sha256(repr((sql, parameters)).encode()).hexdigest()}"
    with _counting:
        return int(cache.get_or_set(key, rows.order_by().count, REMEMBERED) or 0)
