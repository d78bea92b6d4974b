"""Lists: `field=op:value` filters, `sort_by`, pages and hydration, declared once per noun."""

import json
import operator
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Replace, StrIndex
from django.db.models.lookups import Contains, EndsWith, GreaterThan, StartsWith
from django.http import QueryDict
from rest_framework.response import Response

from zenweb.accounts.models import Project
from zenweb.api.envelope import Json, page
from zenweb.config.suggestions import did_you_mean
from zenweb.entity import is_id
from zenweb.exceptions import DoesNotExist, FieldError, ValidationFailed
from zenweb.paging import find_page

MOST_PER_PAGE = 10_000
MOST_FILTERS, MOST_OPTIONS = 100, 500  # all together: databases take so much in one question
WORDS = frozenset({"sort_by", "logical_operator", "page", "size", "hydrate", "project"})
MOST_TOLD = 10  # filters that there are not
LONGEST_SHOWN = 200  # characters of a value that is refused
MOST_COMPARED = 500  # names that a mistyped one is compared with
LOOKUPS = {
    "equals": "exact",
    "contains": "contains",
    "startswith": "startswith",
    "endswith": "endswith",
    "gte": "gte",
    "gt": "gt",
    "lte": "lte",
    "lt": "lt",
}
OPERATORS = frozenset({*LOOKUPS, "notequals", "oneof", "in"})
ORDERED = frozenset({"gte", "gt", "lte", "lt"})
PARTS = {"contains": Contains, "startswith": StartsWith, "endswith": EndsWith}
HEX_DIGITS = frozenset("0123456789abcdef")
NOTHING = Q(pk__in=[])


def parse_time(text: str) -> datetime:
    """A moment; without an offset it is in UTC, as ZenML's clients send it."""
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("no calendar has this moment in UTC") from error


def parse_bool(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        raise ValueError("expected True or False")
    return text.lower() in {"true", "1"}


@dataclass(frozen=True)
class Column:
    """A filterable field: where it is in the database, and how its text becomes a value."""

    path: str
    parse: Callable[[str], Any] = str

    def compare(self, operation: str, text: str) -> Q:
        """Raises ValueError for what cannot be compared so."""
        if self.parse is uuid.UUID and operation in PARTS:
            return self._has_part(operation, text)
        if self.parse is uuid.UUID and not is_id(text):
            raise ValueError("an id is looked for, such as 0f7e3b1a-5c64-4d0e-9a52-3c8d1f6b7a90")
        value = self.parse(text)
        if operation not in ORDERED | {"equals"} and self.parse is not str:
            raise ValueError(f"{operation} works on text only")
        return Q(**{f"{self.path}__{LOOKUPS[operation]}": value})

    def _has_part(self, operation: str, text: str) -> Q:
        """Ids are looked into as texts, with or without their hyphens; how they begin, an index knows."""
        if operation == "startswith" and (beginning := id_prefix(text, self.path)):
            return beginning
        digits = text.replace("-", "").lower()
        if set(digits) - HEX_DIGITS:
            return NOTHING
        stored = Replace(Cast(self.path, TextField()), Value("-"), Value(""), output_field=TextField())
        return Q(PARTS[operation](stored, digits))

    def one_of(self, texts: Sequence[str]) -> Q:
        """Whether it equals one of these. Raises ValueError as `compare` does."""
        if type(self).compare is not Column.compare:  # it has a way of its own to tell what equals
            return reduce(operator.or_, (self.compare("equals", text) for text in texts), NOTHING)
        return Q(**{f"{self.path}__in": [self.parse(text) for text in texts]})


@dataclass(frozen=True)
class Related(Column):
    """What a row points at, by its id or its name, as for `pipeline=`; most operators look at its name."""

    name: str = "name"

    def compare(self, operation: str, text: str) -> Q:
        if operation == "equals" and is_id(text):
            return Q(**{f"{self.path}__pk": text})
        return Column(f"{self.path}__{self.name}").compare(operation, text)

    def one_of(self, texts: Sequence[str]) -> Q:
        ids = [text for text in texts if is_id(text)]
        names = [text for text in texts if not is_id(text)]
        return Q(**{f"{self.path}__pk__in": ids}) | Q(**{f"{self.path}__{self.name}__in": names})


@dataclass(frozen=True)
class Tags(Column):
    """A list of texts that is stored as JSON: whether it has this one."""

    def compare(self, operation: str, text: str) -> Q:
        if operation != "equals":
            raise ValueError(f"a tag is compared as a whole, not with {operation}")
        # Its quotes are part of what is looked for, and one inside of a tag never stands without a backslash.
        place = StrIndex(Cast(self.path, TextField()), Value(json.dumps(text)))
        return Q(GreaterThan(place, 0))


class Word(Value):
    """A word of our own within the text of a query, to be planned for by how rare it is.

    PostgreSQL plans once for all that may stand in a place, and of a million runs few are in progress.
    """

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        if not self.value.isidentifier():
            raise ValueError(f"{self.value!r} is no word")
        return f"'{self.value}'", []


@dataclass(frozen=True)
class Whether(Column):
    """A yes or no: whether the field has one of these values."""

    values: frozenset[str] = frozenset()

    def compare(self, operation: str, text: str) -> Q:
        if operation != "equals":
            raise ValueError("it is either True or False")
        found = Q(**{f"{self.path}__in": [Word(value) for value in sorted(self.values)]})
        return found if parse_bool(text) else ~found


@dataclass(frozen=True)
class Absent(Column):
    """What ZenML's clients look for and no row here has: the answer is an empty list and not all there is."""

    path: str = ""

    def compare(self, operation: str, text: str) -> Q:
        return NOTHING


@dataclass(frozen=True)
class Asked:
    """One condition of a list's address: `name=operation:text`, where `oneof` has several texts."""

    name: str
    operation: str
    value: str
    texts: Sequence[str]

    @classmethod
    def read(cls, name: str, text: str) -> "Asked":
        word, colon, rest = text.partition(":")
        operation, value = (word, rest) if colon and word in OPERATORS else ("equals", text)
        if operation not in {"oneof", "in"}:
            return cls(name, operation, value, [value])
        try:
            options = json.loads(value) if value.startswith("[") else value.split(",")
        except (ValueError, RecursionError) as error:
            raise _cannot_compare(name, value, error) from error
        return cls(name, "oneof", value, [str(option) for option in options])

    def condition(self, column: Column) -> Q:
        try:
            if "\0" in self.value or any("\0" in text for text in self.texts):
                raise ValueError("no text here has the character NUL")
            if self.operation == "oneof":
                return column.one_of(self.texts)
            if self.operation == "notequals":
                return ~column.compare("equals", self.value)
            return column.compare(self.operation, self.value)
        except (ValueError, TypeError) as error:
            raise _cannot_compare(self.name, self.value, error) from error


def _cannot_compare(name: str, value: str, error: Exception) -> ValidationFailed:
    shown = f"{value[:LONGEST_SHOWN]}…" if len(value) > LONGEST_SHOWN else value
    return ValidationFailed([FieldError(f"/{name}", f"{shown!r} cannot be compared with {name}: {error}")])


@dataclass(frozen=True)
class Listing:
    """How one noun is listed. `columns` are its filters; `sortable` maps sort_by's words to paths."""

    columns: Mapping[str, Column]
    sortable: Mapping[str, str]
    describe: Callable[[Any, bool], Json]
    default_sort: str = "created"
    prepare: Callable[[list[Any]], None] | None = None
    """What is done with the rows of a page before they are described."""
    counted: frozenset[str] = frozenset()
    """The columns by which rows are counted that need not be looked at for it: the `counts` of `answer`."""
    deferred: Sequence[str] = ()
    """What is read of rows that are hydrated, and only of them."""
    beside: frozenset[str] = frozenset()
    """What else its address may have."""

    def answer(
        self, queryset: QuerySet[Any], query: QueryDict, counts: QuerySet[Any] | None = None
    ) -> Response:
        """`counts`: rows that have the `counted` columns too, and tell how many of the others there are (`Counts`)."""
        index, size = page_asked_for(query)
        hydrate = wants_hydration(query, default=False)
        rows = self.filtered(queryset, query).order_by(*self._order(query))
        if not hydrate:
            rows = rows.defer(*self.deferred)
        if counts is not None:
            is_counted = self.counted.issuperset(name for name, _ in self._wanted(query))
            counts = self.filtered(counts, query) if is_counted else None
        found = find_page(rows, (index - 1) * size, size, counts)
        if self.prepare is not None:
            self.prepare(found.rows)
        items = [self.describe(row, hydrate) for row in found.rows]
        answer = page(items, index=index, size=size, total=found.total)
        warnings = self._ignored(query)
        return Response({**answer, "warnings": warnings} if warnings else answer)

    def filtered(self, queryset: QuerySet[Any], query: QueryDict) -> QuerySet[Any]:
        wanted = self._wanted(query)
        if len(wanted) > MOST_FILTERS:
            raise ValidationFailed(f"A list is filtered by {MOST_FILTERS} conditions at most.")
        asked = [Asked.read(name, text) for name, text in wanted]
        if sum(len(each.texts) for each in asked) > MOST_OPTIONS:
            raise ValidationFailed(f"A list is filtered by {MOST_OPTIONS} values at most, of all conditions.")
        conditions = [each.condition(self.columns[each.name]) for each in asked]
        join = operator.or_ if _is_either(query) else operator.and_
        return queryset.filter(reduce(join, conditions)) if conditions else queryset

    def _ignored(self, query: QueryDict) -> list[str]:
        """What ZenML's server leaves unsaid: a filter that there is not lets everything through."""
        unknown = [name for name in query if name not in self.columns and name not in WORDS | self.beside]
        return [
            f"There is no filter {name[:LONGEST_SHOWN]!r}, so it was ignored.{did_you_mean(name, self.columns)}"
            for name in unknown[:MOST_TOLD]
        ]

    def _wanted(self, query: QueryDict) -> list[tuple[str, str]]:
        return [(name, text) for name in query if name in self.columns for text in query.getlist(name)]

    def _order(self, query: QueryDict) -> list[str]:
        direction, _, name = query.get("sort_by", self.default_sort).rpartition(":")
        if name not in self.sortable or direction not in {"", "asc", "desc"}:
            known = ", ".join(self.sortable)
            raise ValidationFailed([FieldError("/sort_by", f"Cannot sort by {name!r}. There is: {known}.")])
        sign = "-" if direction == "desc" else ""
        # What sorts rows that are alike too; beside the key it would only mislead.
        return list(dict.fromkeys([f"{sign}{self.sortable[name]}", f"{sign}pk"]))


def _is_either(query: QueryDict) -> bool:
    word = query.get("logical_operator", "and").lower()
    if word not in {"and", "or"}:
        raise ValidationFailed(
            [FieldError("/logical_operator", f"It is either `and` or `or`, not {word!r}.")]
        )
    return word == "or"


def page_asked_for(query: QueryDict) -> tuple[int, int]:
    """The number of the page, from 1 on, and how many rows it has."""
    return whole_number(query, "page", 1, None), whole_number(query, "size", 20, MOST_PER_PAGE)


def find(queryset: QuerySet[Any], name_or_id: str, noun: str, name_field: str | None = "name") -> Any:
    """The row with this id, name (where there are names), or unique beginning of an id. Raises DoesNotExist.

    Of several projects' rows of one name the default project's is meant; ValidationFailed where it has none.
    """
    found = queryset.filter(pk=name_or_id).first() if is_id(name_or_id) else None
    if "\0" in name_or_id:  # which nothing has, and not every database can be asked for
        raise DoesNotExist(f"There is no {noun} {name_or_id!r}.")
    if found is None and name_field:
        found = _named(queryset.filter(**{name_field: name_or_id}), name_or_id, noun)
    if found is None and (condition := id_prefix(name_or_id)) is not None:
        candidates = list(queryset.filter(condition)[:2])
        found = candidates[0] if len(candidates) == 1 else None
    if found is None:
        known = queryset.values_list(name_field, flat=True)[:MOST_COMPARED] if name_field else ()
        raise DoesNotExist(f"There is no {noun} {name_or_id!r}.{did_you_mean(name_or_id, known)}")
    return found


def _named(queryset: QuerySet[Any], name: str, noun: str) -> Any:
    found = list(queryset[:2])
    if len(found) < 2 or not hasattr(found[0], "project_id"):
        return found[0] if found else None
    in_default = queryset.filter(project__name=Project.DEFAULT).first()
    if in_default is None:
        raise ValidationFailed(f"There is a {noun} {name!r} in several projects: name it by its id.")
    return in_default


def id_prefix(text: str, path: str = "pk") -> Q | None:
    """Ids that begin like this, as a range; None when the text cannot begin an id."""
    digits = text.replace("-", "").lower()
    if not 4 <= len(digits) <= 32 or set(digits) - HEX_DIGITS:
        return None
    first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
    return Q(**{f"{path}__gte": first, f"{path}__lte": last})


def flag(query: QueryDict, name: str, *, default: bool = False) -> bool:
    """A yes or no in the address; anything else is refused, for it may stand for the opposite of what is done."""
    text = query.get(name, "")
    try:
        return parse_bool(text) if text else default
    except ValueError as error:
        raise ValidationFailed(f"{name} is either true or false, not {text!r}.") from error


def wants_hydration(query: QueryDict, *, default: bool) -> bool:
    return flag(query, "hydrate", default=default)


def whole_number(query: QueryDict, name: str, default: int, most: int | None) -> int:
    """A number in the address, from 1 on."""
    text = query.get(name, str(default))
    if not text.isdecimal() or len(text) > 12 or int(text) < 1 or (most is not None and int(text) > most):
        limits = f"between 1 and {most}" if most else "of 1 or more"
        raise ValidationFailed([FieldError(f"/{name}", f"{name} is a whole number {limits}, not {text!r}.")])
    return int(text)
