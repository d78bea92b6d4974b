"""What is read and written at every request, in words that are made once.

Django makes the text of a query anew each time it is asked, and that takes several times as long as the answer. What
is here still comes from the models: no column is named twice.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Field, Model, QuerySet, Value
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)


class Given(Value):
    """A place in a query for a value that is given when it is asked: `filter(name=Given("name", CharField()))`."""

    def __init__(self, name: str, field: "Field[Any, Any]") -> None:
        super().__init__(name, output_field=field)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def place(self, values: dict[str, Any]) -> Any:
        return self.output_field.get_db_prep_value(values[self.value], connection)


@dataclass(frozen=True)
class Compiled(Generic[M]):
    """The text of a query, and what becomes of the rows that it gives."""

    sql: str
    parameters: Sequence[Any]
    model: type[M]
    start: int
    names: list[str]
    """The row's own columns stand from `start` on; those of related rows are for these:"""
    related: list[Any]
    converters: list[Any]

    @classmethod
    def of(cls, queryset: "QuerySet[M]") -> "Compiled[M]":
        compiler: Any = queryset.query.get_compiler(using=queryset.db)
        sql, parameters = compiler.as_sql()
        own = compiler.klass_info["select_fields"]
        found: Any = (compiler.klass_info, compiler.select, connection.alias)
        return cls(
            sql,
            parameters,
            compiler.klass_info["model"],
            own[0],
            [column.target.attname for column, *_ in compiler.select[own[0] : own[-1] + 1]],
            get_related_populators(*found),
            list(
                compiler.get_converters(
                    [column for column, *_ in compiler.select[: compiler.col_count]]
                ).items()
            ),
        )

    def instance(self, row: list[Any]) -> M:
        for position, (functions, expression) in self.converters:
            for convert in functions:
                row[position] = convert(row[position], expression, connection)
        own = row[self.start : self.start + len(self.names)]
        instance: M = self.model.from_db(connection.alias, self.names, own)
        for populator in self.related:
            populator.populate(row, instance)
        return instance


class Prepared(Generic[M]):
    """A query for whole rows, with whatever `select_related` and `defer` say."""

    def __init__(self, make: Callable[[], "QuerySet[M]"]) -> None:
        self._make = make
        self._compiled: Compiled[M] | None = None
        self._lock = threading.Lock()

    def ask(self, **values: Any) -> list[M]:
        """The rows, with a value for each place that the query leaves."""
        compiled = self._compile()
        places = [one.place(values) if isinstance(one, Given) else one for one in compiled.parameters]
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, places)
            return [compiled.instance(list(row)) for row in cursor.fetchall()]

    def first(self, **values: Any) -> M | None:
        return next(iter(self.ask(**values)), None)

    def _compile(self) -> Compiled[M]:
        """Once, by one thread: while a text is made, the query is taken apart."""
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    self._compiled = Compiled.of(self._make())
        return self._compiled


def insert(*rows: M) -> None:
    """Write new rows of one model; what the database would fill in is not read back."""
    if not rows:
        return
    sql, fields = _insertion(type(rows[0]))
    values = [
        [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields] for row in rows
    ]
    with connection.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(sql, values[0])
        else:
            cursor.executemany(sql, values)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


@lru_cache
def _insertion(model: type[Model]) -> tuple[str, list[Any]]:
    quote = connection.ops.quote_name
    fields = [field for field in model._meta.local_concrete_fields if field is not model._meta.auto_field]
    columns, places = ", ".join(quote(str(field.column)) for field in fields), ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})", fields  # noqa: S608 names of the model
