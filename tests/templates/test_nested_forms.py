"""Values made of others: shown, sent and read back, whatever they consist of."""

import enum
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from crispy_forms.utils import render_crispy_form
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.test import RequestFactory
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_forms.input_names import is_secret_input, quoted, unquoted
from templates_app.schema_forms.json_editor import JsonControl
from templates_app.schema_forms.rows import MOST_UPLOADED
from templates_app.schema_places import HIDDEN, without_secrets
from tests.templates.sending import sent
from zenweb.config.json_schema import ParameterSchema

P = "steps.trainer.parameters.p"


class Optimizer(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


class Layer(BaseModel):
    units: int = Field(ge=1, le=4096)
    activation: Literal["relu", "tanh"] = "relu"
    dropout: float | None = None


class Range(BaseModel):
    low: float
    high: float = 1.0


class CsvSource(BaseModel):
    kind: Literal["csv"] = "csv"
    path: str
    delimiter: str = ","


class SqlSource(BaseModel):
    kind: Literal["sql"] = "sql"
    query: str
    retries: int = 3


Source = Annotated[CsvSource | SqlSource, Field(discriminator="kind")]


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []
    parent: "Tree | None" = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "x"


class Training(BaseModel):
    optimizer: Optimizer = Optimizer.ADAM
    layers: list[Layer] = [Layer(units=32), Layer(units=8, dropout=0.1)]
    search: dict[str, Range] = {"lr": Range(low=0.1)}
    source: Source
    started: datetime | None = None


@dataclass
class Window:
    days: int = 7
    weights: list[float] = dataclass_field(default_factory=lambda: [0.5, 0.5])


VALUES: list[tuple[Any, Any]] = [
    (Layer, {"units": 3, "activation": "tanh", "dropout": 0.5}),
    (Layer | None, None),
    (Layer | None, {"units": 3, "activation": "relu", "dropout": None}),
    (list[Layer], []),
    (
        list[Layer],
        [
            {"units": 1, "activation": "relu", "dropout": None},
            {"units": 2, "activation": "tanh", "dropout": 1.5},
        ],
    ),
    (dict[str, float], {"a": 1.5, "b.c": 2.0, "ü~%": -1.0}),
    (dict[str, Range], {"lr": {"low": 1e-05, "high": 1.0}}),
    (dict[str, Any], {"a": [1, None], "b": "text"}),
    (Source, {"kind": "sql", "query": "select 1", "retries": 0}),
    (
        list[Source],
        [{"kind": "csv", "path": "a.csv", "delimiter": ";"}, {"kind": "sql", "query": "q", "retries": 3}],
    ),
    (tuple[int, str], [3, "x"]),
    (tuple[float, float, float], [0.1, 0.2, 0.7]),
    (set[Literal["a", "b", "c"]], ["a", "c"]),
    (list[Literal["a", "b"]], ["b", "a", "b"]),
    (list[Optimizer], ["sgd"]),
    (int | str, "7"),
    (int | str, 7),
    (float | Literal["auto"], "auto"),
    (float | Literal["auto"] | None, 0.5),
    (list[int] | int, [1, 2]),
    (list[date], ["2026-01-31"]),
    (list[bool], [True, False]),
    (list[str | None], ["a", None]),
    (list[list[int]], [[1, 2], []]),
    (list[dict[str, int]], [{"a": 1}, {}]),
    (time, "14:30:00"),
    (timedelta, "PT5400S"),
    (Tree, {"name": "root", "children": [{"name": "leaf", "children": [], "parent": None}], "parent": None}),
    (Open, {"name": "x", "more": 1, "and more": {"a": []}}),
    (Window, {"days": 1, "weights": [1.0]}),
    (
        Training,
        {
            "optimizer": "sgd",
            "layers": [{"units": 9, "activation": "relu", "dropout": None}],
            "search": {"lr": {"low": 0.0, "high": 2.0}, "depth": {"low": 1.0, "high": 9.0}},
            "source": {"kind": "csv", "path": "x.csv", "delimiter": ","},
            "started": "2026-03-01T12:00:00+00:00",
        },
    ),
    (list[Decimal], ["1.50"]),
]


def schema_of(kind: Any, **keywords: Any) -> dict[str, Any]:
    parameter = TypeAdapter(kind).json_schema(schema_generator=ParameterSchema)
    definitions = parameter.pop("$defs", {})
    parameters = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"p": parameter | keywords},
        "required": [] if "default" in keywords else ["p"],
    }
    step = {"type": "object", "title": "Trainer", "properties": {"parameters": parameters}}
    steps = {"type": "object", "properties": {"trainer": step}}
    return {"type": "object", "$defs": definitions, "properties": {"steps": steps}}


def configuration(value: Any) -> dict[str, Any]:
    return {"steps": {"trainer": {"parameters": {"p": value}}}}


def page_of(kind: Any, value: Any, **keywords: Any) -> str:
    form = ConfigurationForm(
        schema_of(kind, **keywords), validate=validate, configuration=configuration(value)
    )
    return str(render_crispy_form(form))


def form_of(kind: Any, data: QueryDict, **keywords: Any) -> ConfigurationForm:
    return ConfigurationForm(schema_of(kind, **keywords), validate=validate, data=data)


def value_of(form: ConfigurationForm) -> Any:
    assert form.is_valid(), form.errors
    return form.configuration["steps"]["trainer"]["parameters"]["p"]


@pytest.mark.parametrize(
    ("kind", "value", "is_whole"),
    [
        (Literal["v2"], "v2", True),
        (Literal["v2"], "v1", False),
        (list[Layer], {"units": 3}, False),
        (Training, {"layers": [{"units": 3}], "source": {"kind": "csv", "path": "x"}}, True),
        (Training, {"layers": 5, "source": {"kind": "csv", "path": "x"}}, False),
        (dict[str, Range], {"lr": {"low": 0.1}, "rate": 5}, False),
        (dict[str, list[bool]], {"a": [True, "maybe"]}, False),
        (Tree, {"name": "root", "children": [{"name": "leaf", "children": "none"}]}, False),
    ],
    ids=str,
)
def test_what_cannot_be_shown_of_a_value_is_told(kind: Any, value: Any, is_whole: bool) -> None:
    form = ConfigurationForm(schema_of(kind), validate=validate, configuration=configuration(value))
    assert len(form.notes) == (0 if is_whole else 1)


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda part: str(part)[:40])
def test_a_value_that_is_shown_and_sent_unchanged_is_the_same(kind: Any, value: Any) -> None:
    assert value_of(form_of(kind, sent(page_of(kind, value)))) == value


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda part: str(part)[:40])
def test_a_default_that_is_sent_unchanged_is_the_same(kind: Any, value: Any) -> None:
    page = str(render_crispy_form(ConfigurationForm(schema_of(kind, default=value), validate=validate)))
    assert value_of(form_of(kind, sent(page), default=value)) == value


def test_rows_are_added_removed_and_moved_without_losing_what_is_typed() -> None:
    value = [{"units": 1}, {"units": 2}]
    data = sent(page_of(list[Layer], value))
    data[f"{P}.1.units"] = "wrong"

    def press(action: str) -> None:
        nonlocal data
        data["do"] = action
        form = form_of(list[Layer], data)
        assert form.is_being_edited
        assert form.errors == {}
        data = sent(str(render_crispy_form(form)))

    press(f"add - {P}")
    data[f"{P}.2.units"] = "3"
    press(f"up 1 {P}")
    press(f"remove 0 {P}")
    form = form_of(list[Layer], data)
    assert form.errors == {f"{P}.1.units": ["Enter a whole number."]}
    data[f"{P}.1.units"] = "20"
    assert [layer["units"] for layer in value_of(form_of(list[Layer], data))] == [20, 3]


def test_what_was_typed_for_one_kind_is_there_again_after_another() -> None:
    data = sent(page_of(Source, {"kind": "csv", "path": "a.csv", "delimiter": ","}))
    for kind in ("1", "0"):
        data[f"{P}.~kind"] = kind
        data["do"] = f"show - {P}"
        data = sent(str(render_crispy_form(form_of(Source, data))))
    assert value_of(form_of(Source, data)) == {"kind": "csv", "path": "a.csv", "delimiter": ","}


def test_without_a_script_a_new_kind_is_not_taken_for_an_empty_one() -> None:
    data = sent(page_of(Source, {"kind": "csv", "path": "a.csv", "delimiter": ","}))
    data[f"{P}.~kind"] = "1"
    form = form_of(Source, data)
    assert form.errors == {f"{P}.~kind": ["Fill in what belongs to it."]}
    assert f'name="{P}.~1.query"' in render_crispy_form(form)


@pytest.mark.parametrize(
    ("kind", "value", "changed", "text", "field", "message"),
    [
        (list[Layer], [{"units": 1}], f"{P}.0.units", "0", f"{P}.0.units", "This must be at least 1."),
        (dict[str, int], {"a": 1}, f"{P}.0.~key", "", f"{P}.0.~key", "Enter a name."),
        (dict[str, int], {"a": 1, "b": 2}, f"{P}.1.~key", "a", f"{P}.1.~key", "The name “a” is there twice."),
        (
            dict[str, Layer],
            {"a": {"units": 1}},
            f"{P}.0.~value.units",
            "0",
            f"{P}.0.~value.units",
            "This must be at least 1.",
        ),
        (
            Source,
            {"kind": "sql", "query": "q"},
            f"{P}.~1.retries",
            "x",
            f"{P}.~1.retries",
            "Enter a whole number.",
        ),
        (tuple[int, int], [1, 2], f"{P}.1", "x", f"{P}.1", "Enter a whole number."),
        (
            Annotated[list[Layer], Field(min_length=1)],
            [],
            f"{P}.~",
            "",
            f"{P}.~",
            "This must have at least 1 entry.",
        ),
        (timedelta, "PT1S", P, "soon", P, "Enter a duration, such as 1 h 30 min, 45 s or 2 d."),
    ],
)
def test_an_error_is_told_where_it_is(
    kind: Any, value: Any, changed: str, text: str, field: str, message: str
) -> None:
    data = sent(page_of(kind, value))
    data[changed] = text
    form = form_of(kind, data)
    assert form.errors == {field: [message]}
    assert f'href="#{form[field].id_for_label or "id_" + field}"' in render_crispy_form(form)


@pytest.mark.parametrize("text", ["1 h 30 min", "1h30m", "90 min", "5400s", "PT1H30M"])
def test_a_duration_is_written_as_people_do(text: str) -> None:
    data = sent(page_of(timedelta, "PT1S"))
    data[P] = text
    assert TypeAdapter(timedelta).validate_python(value_of(form_of(timedelta, data))) == timedelta(minutes=90)


def test_many_rows_are_one_input() -> None:
    many = [{"low": 0.5, "high": float(number)} for number in range(5000)]
    data = sent(page_of(list[Range], many))
    assert len(data) < 10
    assert value_of(form_of(list[Range], data)) == many


def test_a_table_is_pasted_as_text_and_shown_as_rows() -> None:
    data = sent(page_of(list[Layer], [{"units": 1}]))
    data["do"] = f"text - {P}"
    data = sent(str(render_crispy_form(form_of(list[Layer], data))))
    assert data[f"{P}.~text"].splitlines() == ["units,activation,dropout", "1,relu,"]
    data[f"{P}.~text"] = "Dropout;units\n0.5;7\n;8\n"
    data["do"] = f"rows - {P}"
    data = sent(str(render_crispy_form(form_of(list[Layer], data))))
    layers = value_of(form_of(list[Layer], data))
    assert [(layer["units"], layer["dropout"]) for layer in layers] == [(7, 0.5), (8, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units,colour\n1,red", "The first row names the columns. There is no column “colour”; there are:"),
        ("units\n1\ntwo", "Row 2, Units: Enter a whole number."),
        ("units\n1\n0", "Row 2, units: This must be at least 1."),
        ("units\n1,2,3", "Row 1 has 3 cells, the header has 1."),
    ],
)
def test_what_is_wrong_in_a_table_names_its_row(text: str, message: str) -> None:
    data = sent(page_of(list[Layer], []))
    data[f"{P}.~"], data[f"{P}.~text"] = "text", text
    assert form_of(list[Layer], data).errors[f"{P}.~text"][0].startswith(message)


class Login(BaseModel):
    kind: Literal["login"] = "login"
    user: str = "ada"
    password: SecretStr


class Token(BaseModel):
    kind: Literal["token"] = "token"
    token: SecretStr


def test_a_secret_typed_for_another_kind_does_not_come_back_but_is_asked_for_again() -> None:
    kind = Annotated[Login | Token, Field(discriminator="kind")]
    data = sent(str(render_crispy_form(ConfigurationForm(schema_of(kind), validate=validate))))
    data[f"{P}.~kind"], data["do"] = "0", f"show - {P}"
    data = sent(str(render_crispy_form(form_of(kind, data))))
    data[f"{P}.~0.password"], data[f"{P}.~0.user"] = "hush", "bob"
    for chosen in ("1", "0"):
        data[f"{P}.~kind"], data["do"] = chosen, f"show - {P}"
        page = str(render_crispy_form(form_of(kind, data)))
        assert "hush" not in page
        data = sent(page)
    assert "Type it again: secrets are not kept." in page
    assert data[f"{P}.~0.user"] == "bob"
    data[f"{P}.~0.password"] = "hush"
    assert value_of(form_of(kind, data)) == {"kind": "login", "user": "bob", "password": "hush"}


class Left(BaseModel):
    alpha: str
    count: int = 1


class Right(BaseModel):
    beta: str = Field(min_length=1)


def test_of_kinds_without_a_tag_the_chosen_one_says_what_is_wrong() -> None:
    data = sent(page_of(Left | Right, {"beta": "x"}))
    data[f"{P}.~1.beta"] = ""
    form = form_of(Left | Right, data)
    assert list(form.errors) == [f"{P}.~1.beta"]


def test_a_value_that_lacks_something_is_still_of_the_kind_that_it_names() -> None:
    page = page_of(Annotated[CsvSource | SqlSource, Field(discriminator="kind")], {"kind": "sql"})
    assert sent(page)[f"{P}.~kind"] == "1"


@pytest.mark.parametrize(
    ("kind", "value", "changes", "title"),
    [
        (list[Layer], [{"units": 1}] * 3, {"2.units": "0"}, "P → Layer 3 → Units"),
        (list[Layer] | None, [{"units": 1}], {"~0.0.units": "0"}, "P → Layer 1 → Units"),
        (list[date], ["2026-01-31"], {"0": "x"}, "P → Entry 1"),
        (dict[str, int], {"a": 1, "b": 2}, {"1.~value": "x"}, "P → b → Value"),
        (dict[str, int], {"a": 1}, {"0.~key": "new", "0.~value": "x"}, "P → new → Value"),
        (dict[str, int], {"a": 1}, {"0.~key": ""}, "P → Entry 1 → Name"),
        (dict[str, Layer], {"a": {"units": 1}}, {"0.~value.units": "0"}, "P → a → Value → Units"),
        (Login | Token, {"kind": "login"}, {"~0.user": ""}, "P → Login → Password"),
    ],
)
def test_an_error_is_listed_with_what_it_is_a_part_of(
    kind: Any, value: Any, changes: dict[str, str], title: str
) -> None:
    data = sent(page_of(kind, value))
    for name, text in changes.items():
        data[f"{P}.{name}"] = text
    assert f">{title}</a>" in render_crispy_form(form_of(kind, data))


def test_rows_are_numbered_by_their_place() -> None:
    data = sent(page_of(list[Layer], [{"units": 1}, {"units": 2}]))
    data["do"] = f"up 1 {P}"
    page = str(render_crispy_form(form_of(list[Layer], data)))
    assert re.findall(r">(Layer \d)<", page) == ["Layer 1", "Layer 2"]
    assert page.index(f"{P}.1.units") < page.index(f"{P}.0.units")


@pytest.mark.parametrize("text", ["no colour at all", "#12345", "rgb(", "#33669"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    colour = Annotated[str, Field(json_schema_extra={"format": "color"})]
    data = sent(page_of(colour, "red"))
    data[P] = text
    assert form_of(colour, data).errors == {P: ["This must be a colour, such as #336699."]}


def test_rows_with_secrets_are_never_text() -> None:
    many = [{"kind": "login", "user": "ada", "password": "hush"}] * 60
    page = page_of(list[Login], many)
    assert "hush" not in page
    assert "as text" not in page
    data = sent(page)
    data["do"] = f"text - {P}"
    assert f'name="{P}.~text"' not in render_crispy_form(form_of(list[Login], data))
    table = SimpleUploadedFile("logins.csv", b"user,password\nada,hush\n")
    uploaded = ConfigurationForm(
        schema_of(list[Login]), validate=validate, data=data, uploads={f"{P}.~file": table}
    )
    assert "hush" not in render_crispy_form(uploaded)


def test_what_depends_on_a_value_is_asked_for_only_then_and_kept_meanwhile() -> None:
    schema = {
        "type": "object",
        "properties": {"mode": {"enum": ["fast", "exact"], "default": "fast"}},
        "if": {"properties": {"mode": {"const": "exact"}}, "required": ["mode"]},
        "then": {
            "properties": {
                "digits": {"type": "integer", "default": 3},
                "key": {"type": "string", "format": "password"},
            }
        },
    }
    whole = schema_of(int)
    whole["properties"]["steps"]["properties"]["trainer"]["properties"]["parameters"]["properties"]["p"] = (
        schema
    )

    def form(data: QueryDict | None = None) -> ConfigurationForm:
        return ConfigurationForm(whole, validate=validate, data=data)

    data = sent(str(render_crispy_form(form())))
    assert value_of(form(data)) == {"mode": "fast"}
    data[f"{P}.mode"], data["do"] = "exact", f"show - {P}"
    data = sent(str(render_crispy_form(form(data))))
    assert value_of(form(data)) == {"mode": "exact", "digits": 3}
    data[f"{P}.mode"], data[f"{P}.digits"], data[f"{P}.key"] = "fast", "9", "hush"
    assert value_of(form(data)) == {"mode": "fast"}
    for mode in ("fast", "exact"):
        data[f"{P}.mode"], data["do"] = mode, f"show - {P}"
        data = sent(str(render_crispy_form(form(data))))
        assert "hush" not in str(data)
    assert data[f"expected.{P}.key"] == "1"
    data[f"{P}.key"] = "hush"
    assert value_of(form(data)) == {"mode": "exact", "digits": 9, "key": "hush"}


def test_no_type_in_this_file_falls_back_to_the_json_editor() -> None:
    for kind, value in VALUES:
        form = ConfigurationForm(schema_of(kind), validate=validate, configuration=configuration(value))
        if kind not in (dict[str, Any], Open):
            assert not any(
                isinstance(getattr(field, "control", None), JsonControl) for field in form.fields.values()
            ), kind


class Watch(BaseModel):
    place: str
    tags: set[Literal["a", "b", "c"]] = {"a"}
    key: SecretStr


def press(kind: Any, data: QueryDict, action: str) -> QueryDict:
    """The form as a button leaves it, sent again."""
    data["do"] = action
    again = sent(str(render_crispy_form(form_of(kind, data))))
    again.pop("do", None)
    return again


def test_rows_with_secrets_outlive_another_kind_but_for_their_secrets() -> None:
    kind = list[Watch] | None
    data = sent(page_of(kind, []))
    data = press(kind, data, f"add - {P}.~0")
    data[f"{P}.~0.0.place"], data[f"{P}.~0.0.key"] = "here", "hush"
    data.setlist(f"{P}.~0.0.tags", ["", "b", "c"])
    for chosen in ("", "0"):
        data[f"{P}.~kind"] = chosen
        data = press(kind, data, f"show - {P}")
        assert "hush" not in str(data)
    assert data[f"{P}.~0.0.place"] == "here"
    assert data[f"expected.{P}.~0.0.key"] == "1"
    data[f"{P}.~0.0.key"] = "hush"
    assert value_of(form_of(kind, data)) == [{"place": "here", "tags": ["b", "c"], "key": "hush"}]


def test_what_was_emptied_in_one_kind_is_still_empty_after_another() -> None:
    kind = list[str | None] | None
    data = sent(page_of(kind, ["a"], default=["a"]))
    data = press(kind, data, f"remove 0 {P}.~0")
    for chosen in ("", "0"):
        data[f"{P}.~kind"] = chosen
        data = press(kind, data, f"show - {P}")
    assert value_of(form_of(kind, data)) == []


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("~", False),
        ("~0.~", False),
        ("~0.3.~kind", False),
        ("~0.3.place", False),
        ("~0.3.key", True),
        ("~0.~text", True),
        ("~0", True),
        ("~0.3.unheard", True),
        (f"~{'9' * 5000}.key", True),
    ],
)
def test_only_what_can_be_a_secret_is_one(name: str, *, is_secret: bool) -> None:
    start = TypeAdapter(list[Watch] | None).json_schema(schema_generator=ParameterSchema)
    assert is_secret_input(start, name.split("."), start) is is_secret


def test_each_kind_says_which_of_its_values_are_secret() -> None:
    class Open(BaseModel):
        key: str

    class Closed(BaseModel):
        key: SecretStr

    start = TypeAdapter(Open | Closed).json_schema(schema_generator=ParameterSchema)
    assert [is_secret_input(start, [f"~{kind}", "key"], start) for kind in (0, 1)] == [False, True]


def test_the_page_says_what_the_browser_may_not_keep() -> None:
    page = page_of(list[Watch], [{"place": "here", "key": "hush"}])
    marked = re.findall(r'<(?:input|textarea)[^>]*name="([^"]*)"[^>]*data-secret', page)
    assert marked == [f"{P}.0.key"]


class Basic(BaseModel):
    password: SecretStr = SecretStr("")


class Bearer(BaseModel):
    bearer: SecretStr


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (Basic | Bearer, {"bearer": "hush"}, {"bearer": None}),
        (Basic | Bearer | None, {"bearer": "hush"}, {"bearer": None}),
        (Bearer | Basic, {"password": "hush"}, {"password": None}),
        (Login | Token, {"kind": "token", "token": "hush"}, {"kind": "token"}),
        (Bearer | Login, {"user": "ada", "password": "hush"}, {"user": "ada"}),
        (list[Basic | Bearer], [{"bearer": "hush"}], [{"bearer": None}]),
    ],
)
def test_a_value_without_its_secrets_is_still_of_its_kind(kind: Any, value: Any, kept: Any) -> None:
    without = without_secrets(schema_of(kind), configuration(value))
    assert without == configuration(kept)
    chosen = [
        {name: text for name, text in sent(page_of(kind, one)).items() if name.endswith("~kind")}
        for one in (value, kept)
    ]
    assert chosen[0] == chosen[1]


def test_a_value_is_of_the_kind_that_knows_all_of_it() -> None:
    assert sent(page_of(Basic | Bearer, {"bearer": "hush"}))[f"{P}.~kind"] == "1"


def upload(kind: Any, data: QueryDict, content: bytes, action: str = "show") -> tuple[str, QueryDict]:
    """The page that answers a file, and what it sends."""
    data["do"] = action
    form = ConfigurationForm(
        schema_of(kind),
        validate=validate,
        data=data,
        uploads={f"{P}.~file": SimpleUploadedFile("rows.csv", content)},
    )
    page = str(render_crispy_form(form))
    return page, sent(page)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04\x00\x00", "The file is not text."),
        (b"units,colour\n1,red\n", "There is no column “colour”"),
        (b'units\n"1', "This is not a table"),
        (b"units\n1,2\n", "Row 1 has 2 cells, the header has 1."),
        (b"units\n" + b"1" * MOST_UPLOADED, "The file is larger than 10 MB."),
    ],
)
def test_a_file_that_cannot_be_read_says_so_at_once_and_leaves_the_rows(
    content: bytes, sentence: str
) -> None:
    page, data = upload(list[Layer], sent(page_of(list[Layer], [{"units": 7}])), content)
    assert sentence in page
    assert value_of(form_of(list[Layer], data)) == [{"units": 7, "activation": "relu", "dropout": None}]


def test_a_file_that_cannot_be_read_runs_nothing() -> None:
    data = sent(page_of(list[Layer], [{"units": 7}]))
    form = ConfigurationForm(
        schema_of(list[Layer]),
        validate=validate,
        data=data,
        uploads={f"{P}.~file": SimpleUploadedFile("rows.csv", b"colour\nred\n")},
    )
    assert form.errors[f"{P}.~"][0].startswith("The first row names the columns.")


def test_a_cell_of_a_file_that_is_wrong_is_told_at_once() -> None:
    page, data = upload(list[Layer], sent(page_of(list[Layer], [])), b"units\n1\ntwo\n")
    assert "Row 2, Units: Enter a whole number." in page
    assert form_of(list[Layer], data).errors == {f"{P}.1.units": ["Enter a whole number."]}


class Price(BaseModel):
    name: str
    amount: float = 1.0
    exact: Decimal = Decimal(0)
    pieces: int = 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("action", ["show", "run"])
def test_a_file_of_a_spreadsheet_takes_the_place_of_the_rows(encoding: str, action: str) -> None:
    data = sent(page_of(list[Price], [{"name": "old", "amount": 9.0, "exact": "9", "pieces": 9}]))
    table = "name;amount;exact\nMüller, 5 €;2,5;-0,10\nb;3;1,5e-3\n".encode(encoding)
    _, data = upload(list[Price], data, table, action)
    assert value_of(form_of(list[Price], data)) == [
        {"name": "Müller, 5 €", "amount": 2.5, "exact": "-0.10", "pieces": 1},
        {"name": "b", "amount": 3, "exact": "1.5e-3", "pieces": 1},
    ]


def test_a_comma_is_no_point_where_commas_part_the_cells() -> None:
    page, _ = upload(list[Price], sent(page_of(list[Price], [])), b'name,amount\na,"2,5"\n')
    assert "Row 1, Amount: Enter a number with a point, such as 2.5." in page


def test_what_may_be_a_thousand_is_asked_about() -> None:
    page, _ = upload(list[Price], sent(page_of(list[Price], [])), b"name;amount\na;1,234\nb;1,5\n")
    assert "Row 1, Amount: Enter a number with a point, such as 1.234." in page
    assert "Row 2, Amount" not in page


AWKWARD = "a\" b\r\nc\\d.~%22\x00é;='<"


def as_a_browser_sends(data: QueryDict) -> QueryDict:
    """Through a request in several parts, whose names have no quotes and line breaks."""
    parts = [
        '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'.format(
            re.sub(r"\r\n|\r|\n", "%0D%0A", name).replace('"', "%22").replace("\x00", "\ufffd"), text
        )
        for name, texts in data.lists()
        for text in texts
    ]
    body = "".join([*parts, "--x--\r\n"]).encode()
    return RequestFactory().post("/", body, content_type="multipart/form-data; boundary=x").POST


@pytest.mark.parametrize("character", AWKWARD)
def test_a_name_survives_its_way_through_a_browser(character: str) -> None:
    class Named(BaseModel):
        value: str = Field(default="", alias=f"x{character}")

    data = sent(page_of(Named, {}))
    [name] = [name for name in data if name.startswith(f"{P}.x")]
    data[name] = "typed"
    assert value_of(form_of(Named, as_a_browser_sends(data))) == {f"x{character}": "typed"}


def test_every_escape_is_read_back() -> None:
    assert unquoted(quoted(AWKWARD)) == AWKWARD


class Member(BaseModel):
    user: str = "u"
    token: SecretStr


class Chain(BaseModel):
    token: SecretStr | None = None
    next: "Chain | None" = None


def chained(length: int) -> dict[str, Any]:
    return {"next": chained(length - 1)} if length else {"token": "hush"}


@pytest.mark.parametrize("length", [1, 1_001])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (list[Member], lambda length: [{"user": "u", "token": "hush"}] * length),
        (dict[str, Member], lambda length: {str(n): {"token": "hush"} for n in range(length)}),
        (list[SecretStr], lambda length: ["hush"] * length),
        (Chain, lambda length: chained(min(length, 30))),
    ],
)
def test_no_secret_that_a_form_starts_from_is_shown_however_many_or_deep(
    kind: Any, value: Any, length: int
) -> None:
    assert "hush" not in page_of(kind, value(length))


def test_more_rows_with_secrets_than_can_be_shown_are_told() -> None:
    many = configuration([{"token": "hush"}] * 1_001)
    form = ConfigurationForm(schema_of(list[Member], default=[]), validate=validate, configuration=many)
    [note] = form.notes
    assert "cannot be what it was" in note


def test_what_only_stands_for_a_secret_is_no_value() -> None:
    """As where JSON shows it, or somebody sends back what was answered for a run."""
    [error] = validate(schema_of(Member), configuration({"user": "u", "token": HIDDEN}))
    assert error.pointer == "/steps/trainer/parameters/p/token"
    assert "Give the secret itself." in error.message
    assert not validate(schema_of(Member), configuration({"user": HIDDEN, "token": "hush"}))
    page = page_of(Chain, chained(30))
    assert HIDDEN in page
    assert not form_of(Chain, sent(page)).is_valid()
