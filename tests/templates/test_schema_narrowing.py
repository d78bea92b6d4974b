"""What a newer schema takes no more: told for each kind of rule, and never too little, whatever the schemas are."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from templates_app.schema_narrowing import narrowings
from templates_app.schema_validation import compile_schema

Schema = dict[str, Any]
NUMBER, TEXT = {"type": "number"}, {"type": "string"}
TEXT_OR_NOTHING = {"anyOf": [TEXT, {"type": "null"}]}


def an_object(properties: Schema, *required: str, **more: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (NUMBER, NUMBER, []),
        (NUMBER, {"type": "integer"}, ["It has to be a whole number now."]),
        ({"type": "integer"}, NUMBER, []),
        (NUMBER, {**NUMBER, "title": "Other", "default": 5}, []),
        ({**NUMBER, "maximum": 1}, {**NUMBER, "maximum": 0.5}, ["It takes no numbers above 0.5 any more (before: 1)."]),
        ({**NUMBER, "maximum": 1}, {"exclusiveMaximum": 1}, ["It takes only numbers below 1 now (before: 1)."]),
        ({**NUMBER, "exclusiveMinimum": 0}, {**NUMBER, "minimum": 0}, []),
        (NUMBER, {**NUMBER, "minimum": 0}, ["It takes no numbers below 0 any more (before: any)."]),
        ({**TEXT, "minLength": 3}, {**TEXT, "minLength": 1}, []),
        (TEXT, {**TEXT, "maxLength": 9}, ["It takes no texts longer than 9 any more (before: any)."]),
        (TEXT, {**TEXT, "pattern": "^a"}, ["It has to be of another form now (^a)."]),
        (TEXT, {**TEXT, "format": "password"}, []),
        ({"enum": ["a", "b", "c"]}, {"enum": ["a", "d"]}, ['It does not take "b", "c" any more.']),
        ({"enum": ["a"]}, TEXT, []),
        (TEXT, {"enum": ["a"], "type": "string"}, ['It takes only "a" now.']),
        ({"type": "boolean"}, {"const": True}, ["It does not take false any more."]),
        (TEXT_OR_NOTHING, TEXT, ["It does not take null any more."]),
        (TEXT, TEXT_OR_NOTHING, []),
        (an_object({"a": TEXT}), an_object({}), ["/a: It is gone."]),
        (an_object({"a": TEXT}), an_object({"a": TEXT}, "a"), ["/a: It has to be given now."]),
        (an_object({}), an_object({"a": TEXT}, "a"), ["/a: It has to be given now, and was not there before."]),
        (an_object({}), an_object({"a": TEXT}), []),
        ({"type": "object"}, an_object({}), ["Other names than those that are listed are not taken any more."]),
        ({"type": "array", "items": NUMBER}, {"items": {"type": "integer"}}, ["/*: It has to be a whole number now."]),
        ({"type": "array", "maxItems": 3}, {"maxItems": 2}, ["It may have 2 entries at most now (before: 3)."]),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}, ["Every entry may occur only once now."]),
        (
            {"$defs": {"M": an_object({"a": NUMBER})}, "$ref": "#/$defs/M"},
            {"$defs": {"M": an_object({"a": {**NUMBER, "maximum": 1}})}, "$ref": "#/$defs/M"},
            ["/a: It takes no numbers above 1 any more (before: any)."],
        ),
        (
            {"type": "string", "zenweb-decimal": {"ge": "0"}},
            {"type": "string", "zenweb-decimal": {"ge": "1"}},
            ["Another rule holds for it now (decimal), so it may take less."],
        ),
        ({"type": "string", "zenweb-decimal": {"ge": "1"}}, {"type": "string", "zenweb-decimal": {"ge": "0"}}, []),
        ({"type": "number"}, {"type": "number", "zenweb-digits": {}}, []),
        (
            {"type": "number", "zenweb-digits": {"max_digits": 5}},
            {"type": "number", "zenweb-digits": {"max_digits": 4}},
            ["Another rule holds for it now (digits), so it may take less."],
        ),
    ],
)  # fmt: skip
def test_what_is_taken_no_more_is_told(before: Schema, now: Schema, told: list[str]) -> None:
    found = narrowings(before, now)
    assert [": ".join(filter(None, [each.pointer, each.sentence])) for each in found] == told


def test_of_tagged_forms_the_one_that_is_narrower_is_told() -> None:
    def forms(limit: int) -> Schema:
        csv = an_object({"kind": {"const": "csv"}, "rows": {"type": "integer", "maximum": limit}}, "kind")
        return {"oneOf": [csv, an_object({"kind": {"const": "sql"}}, "kind")]}

    assert narrowings(forms(5), forms(9)) == []
    assert [each.pointer for each in narrowings(forms(9), forms(5))] == ["/rows"]


def test_what_refers_to_itself_comes_to_an_end() -> None:
    def tree(limit: int) -> Schema:
        node = an_object(
            {
                "size": {"type": "integer", "maximum": limit},
                "below": {"type": "array", "items": {"$ref": "#/$defs/T"}},
            }
        )
        return {"$defs": {"T": node}, "$ref": "#/$defs/T"}

    assert narrowings(tree(5), tree(9)) == []
    assert {each.pointer for each in narrowings(tree(9), tree(5))} == {"/size", "/below/*/size"}


NAMES = ("a", "b", "c")
SMALL = st.integers(-3, 3)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    SMALL,
    st.sampled_from([0.5, 1.0, -1.5, 2.25]),
    st.sampled_from(["", "a", "ab", "abc", "1", "2026-01-01"]),
)


def bounded(kind: str, least: str, most: str, bounds: st.SearchStrategy[int]) -> st.SearchStrategy[Schema]:
    optional = {least: bounds, most: bounds}
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=optional)


LEAVES = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    bounded("integer", "minimum", "maximum", SMALL),
    bounded("number", "exclusiveMinimum", "exclusiveMaximum", SMALL),
    bounded("number", "minimum", "exclusiveMaximum", SMALL),
    bounded("string", "minLength", "maxLength", st.integers(0, 3)),
    st.sampled_from(
        [
            {"type": "string", "pattern": "^a"},
            {"type": "string", "format": "date"},
            {"type": "integer", "multipleOf": 2},
        ]
    ),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.lists(
        st.sampled_from(["null", "integer", "string", "number"]), min_size=1, max_size=2, unique=True
    ).map(lambda types: {"type": types}),
    st.sampled_from([{"$ref": "#/$defs/One"}, {"$ref": "#/$defs/Two"}, {}]),
)


def composed(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    some = st.lists(inner, min_size=1, max_size=3)
    closed = st.one_of(st.just(False), st.just(True), inner)
    an_object = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)},
        optional={
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "additionalProperties": closed,
            "unevaluatedProperties": st.just(False),
            "allOf": some,
            "maxProperties": st.integers(0, 2),
        },
    )
    a_list = st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={
            "items": closed,
            "prefixItems": some,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
            "uniqueItems": st.booleans(),
        },
    )
    return st.one_of(
        an_object,
        a_list,
        some.map(lambda branches: {"anyOf": branches}),
        some.map(lambda branches: {"oneOf": branches}),
        some.map(lambda branches: {"allOf": branches}),
    )


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=6)
ROOTS = st.builds(
    lambda schema, one, two: {**schema, "$defs": {"One": one, "Two": two}},
    SCHEMAS,
    LEAVES.filter(lambda schema: "$ref" not in schema),
    LEAVES.filter(lambda schema: "$ref" not in schema),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from((*NAMES, "d")), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, schema: Any) -> Any:
    """A schema of which a part is another now: what two versions of a template differ by."""
    if not isinstance(schema, dict) or not schema or draw(st.integers(0, 3)) == 0:
        return draw(SCHEMAS)
    key = draw(st.sampled_from(sorted(schema)))
    part = schema[key]
    if key in {"properties", "$defs"} and part:
        name = draw(st.sampled_from(sorted(part)))
        rest = {other: value for other, value in part.items() if other != name}
        if key == "properties" and draw(st.booleans()):
            return {**schema, key: rest}
        return {**schema, key: {**part, name: draw(changed(part[name]))}}
    if key in {"anyOf", "oneOf", "allOf", "prefixItems"}:
        index = draw(st.integers(0, len(part) - 1))
        return {
            **schema,
            key: [draw(changed(each)) if number == index else each for number, each in enumerate(part)],
        }
    if key in {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}:
        return {**schema, key: draw(SMALL)}
    return {name: value for name, value in schema.items() if name not in {key} - {"$defs"}}


PAIRS = st.one_of(
    st.tuples(ROOTS, ROOTS), ROOTS.flatmap(lambda root: st.tuples(st.just(root), changed(root)))
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(PAIRS, st.lists(VALUES, min_size=8, max_size=30))
def test_a_value_that_was_taken_and_is_not_told_of_is_taken_still(
    pair: tuple[Schema, Schema], values: list[Any]
) -> None:
    before, now = ({"$defs": {"One": {}, "Two": {}}, **each} for each in pair)
    if not narrowings(before, now):
        taken, still = compile_schema(before), compile_schema(now)
        assert [value for value in values if taken.is_valid(value) and not still.is_valid(value)] == []


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROOTS)
def test_the_same_schema_takes_the_same(schema: Schema) -> None:
    assert narrowings(schema, {**schema, "title": "Other words"}) == []
