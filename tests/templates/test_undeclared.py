"""Members that the type of a parameter does not declare, and would drop."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

from templates_app.schema_places import schemas_at, undeclared_in


class Base(BaseModel):
    k: str = "b"


class Tree(BaseModel):
    children: list["Tree"] = []
    base: Base | None = None


class Open(Base):
    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (Base, {"k": "c", "extra": 1}, [("extra",)]),
        (list[Base], [{}, {"extra": 1}], [("1", "extra")]),
        (dict[str, Base], {"any": {"extra": 1}}, [("any", "extra")]),
        (tuple[int, Base], [1, {"extra": 1}], [("1", "extra")]),
        (
            Tree,
            {"children": [{"base": {"x": 1}, "y": 1}]},
            [("children", "0", "base", "x"), ("children", "0", "y")],
        ),
        (Base | Tree, {"k": "c", "children": []}, []),
        (Base | dict[str, int], {"extra": 1}, []),
        (Open, {"extra": 1}, []),
        (dict[str, Any], {"a": {"b": 1}}, []),
        (Any, {"a": 1}, []),
    ],
)
def test_they_are_found_where_no_form_of_the_value_has_them(kind: Any, value: Any, found: Any) -> None:
    schema = TypeAdapter(kind).json_schema()
    assert list(undeclared_in(schema, schemas_at(schema, ()), value)) == found
