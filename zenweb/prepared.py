"""What is read and written at every request, in words that are made once.

Django makes the text of a query anew each time it is asked, and that takes several times as long as the answer. What
is here still comes from the models: no column is named twice.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
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


class Prepared(Generic[M]):
    """A query for whole rows, with whatever `select_related` and `defer` say."""

    def __init__(self, make: Callable[[], "QuerySet[M]"]) -> None:
        self._make = make

    def ask(self, **values: Any) -> list[M]:
        """The rows, with a value for each place that the query leaves."""
        sql, parameters = self._text
        places = [one.place(values) if isinstance(one, Given) else one for one in parameters]
        with connection.cursor() as cursor:
            cursor.execute(sql, places)
            return [self._instance(list(row)) for row in cursor.fetchall()]

    def first(self, **values: Any) -> M | None:
        return next(iter(self.ask(**values)), None)

    @cached_property
    def _text(self) -> tuple[str, Sequence[Any]]:
        text: tuple[str, Sequence[Any]] = self._compiler.as_sql()
        return text

    @cached_property
    def _compiler(self) -> Any:
        queryset = self._make()
        return queryset.query.get_compiler(using=queryset.db)

    @cached_property
    def _shape(self) -> tuple[type[M], int, list[str], list[Any], list[Any]]:
        """Which columns are the row's own, which belong to related rows, and which are to be converted."""
        compiler = self._compiler
        start, *_, end = (own := compiler.klass_info["select_fields"])[0], own[-1] + 1
        names = [column.target.attname for column, *_ in compiler.select[start:end]]
        found: Any = (compiler.klass_info, compiler.select, connection.alias)
        related = get_related_populators(*found)
        columns = [column for column, *_ in compiler.select[: compiler.col_count]]
        return (
            compiler.klass_info["model"],
            start,
            names,
            related,
            list(compiler.get_converters(columns).items()),
        )

    def _instance(self, row: list[Any]) -> M:
        model, start, names, related, converters = self._shape
        for position, (functions, expression) in converters:
            for convert in functions:
                row[position] = convert(row[position], expression, connection)
        instance: M = model.from_db(connection.alias, names, row[start : start + len(names)])
        for populator in related:
            populator.populate(row, instance)
        return instance


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
