"""A `Decimal` parameter from its signature to the value a step gets, with every digit that was typed."""

from decimal import Decimal
from typing import Annotated, Any

import pytest
from crispy_forms.utils import render_crispy_form
from pydantic import Field

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_validation import check_schema
from zenweb import pipeline, step
from zenweb.config.config_schema import build_config_schema, parameter_adapters
from zenweb.exceptions import ValidationFailed


@step
def pay(
    price: Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)] = Decimal("1.10"),
    discount: Decimal | None = None,
    rates: list[Decimal] = [],  # noqa: B006  # what users write
    exact: Decimal = Decimal("0.1"),
    factor: Annotated[Decimal, Field(multiple_of=Decimal("0.05"))] = Decimal("0.5"),
    fee: Annotated[Decimal, Field(max_digits=5, decimal_places=2)] = Decimal(0),
    loose: Annotated[Decimal, Field(allow_inf_nan=True)] = Decimal("NaN"),
) -> None: ...


@pipeline
def paying():
    pay()


@pytest.fixture
def schema() -> dict[str, Any]:
    return build_config_schema(paying.compile())


def sent(name: str, value: Any) -> dict[str, Any]:
    return {"steps": {"pay": {"parameters": {name: value}}}}


def form_of(schema: dict[str, Any], name: str, typed: str) -> ConfigurationForm:
    return ConfigurationForm(schema, validate=validate, data={f"steps.pay.parameters.{name}": typed})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("price", value) for value in ("0.10", "100", "1e1", 5, 0.25, "1.500", ".5")),
        *(("discount", value) for value in (None, "-3", "1e-30")),
        *(("rates", value) for value in ([], ["0.10", 2])),
        *(("fee", value) for value in ("999.99", 999.99, 999, "0.01")),
        *(("factor", value) for value in ("1.15", "1e5")),
        *(("loose", value) for value in ("NaN", "-Infinity", "1.5")),
        ("exact", "123456789012345678901234567890.123456789"),
    ],
)
def test_what_the_schema_accepts_the_type_accepts_too(schema, name, value):
    assert validate(schema, sent(name, value)) == []
    parameter_adapters(pay.entrypoint)[name].validate_python(value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("exact", "abc", "This must be a number, such as 12.50."),
        ("exact", "", "This must be a number, such as 12.50."),
        ("exact", "NaN", "This must be a number, such as 12.50."),
        ("price", "-0.01", "This must be at least 0."),
        ("price", -0.01, "This must be at least 0"),
        ("price", "100.01", "This must be at most 100."),
        ("price", "1.005", "This must have at most 2 digits after the point."),
        ("price", 1.005, "This must have at most 2 digits after the point."),
        ("fee", "1000", "This must have at most 3 digits before the point."),
        ("fee", 99999, "This must have at most 3 digits before the point."),
        ("exact", 12345678901234567890.12, "A number of so many digits gets rounded: write it as a text"),
        ("rates", [0.1 + 0.2], "A number of so many digits gets rounded: write it as a text"),
        ("factor", "1.01", "This must be a multiple of 0.05."),
        ("factor", "1e999999", "This must be a multiple of 0.05."),
        ("exact", True, "This must be a number or a text."),
    ],
)
def test_what_is_no_such_number_is_refused_at_its_place(schema, name, value, sentence):
    [error] = validate(schema, sent(name, value))
    place = f"/steps/pay/parameters/{name}" + ("/0" if isinstance(value, list) else "")
    assert (error.pointer, error.message[: len(sentence)]) == (place, sentence)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("price", " 0.50 ", "0.50"),
        ("price", "1.10", "1.10"),
        ("discount", "", None),
        ("rates", "0.10\n2", ["0.10", "2"]),
        ("exact", "0.10000000000000000000000001", "0.10000000000000000000000001"),
    ],
)
def test_the_form_sends_the_digits_as_typed(schema, name, typed, value):
    form = form_of(schema, name, typed)
    assert form.is_valid(), form.errors
    assert form.configuration["steps"]["pay"]["parameters"][name] == value


@pytest.mark.parametrize(
    ("typed", "sentence"), [("abc", "Enter a number."), ("1,5", "such as 1.5"), ("101", "at most 100")]
)
def test_the_form_tells_a_wrong_number_at_its_field(schema, typed, sentence):
    form = form_of(schema, "price", typed)
    assert sentence in form.errors["steps.pay.parameters.price"][0]


def test_the_form_says_the_bounds_in_words(schema):
    page = render_crispy_form(ConfigurationForm(schema, validate=validate))
    assert "From 0 to 100, at most 5 digits, at most 2 digits after the point" in page
    assert "data-json" not in page


@pytest.mark.parametrize("rules", [5, {"gt": "abc"}, {"unknown": 1}, {"max_digits": "x"}, {"gt": None}])
def test_rules_that_are_none_are_refused_with_the_schema(rules):
    with pytest.raises(ValidationFailed, match="The schema cannot be used"):
        check_schema({"type": "string", "zenweb-decimal": rules})
