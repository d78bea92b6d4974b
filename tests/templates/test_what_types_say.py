"""What types say beyond JSON Schema stands in the form, and what pydantic would refuse is refused there."""

import dataclasses
import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Network
from typing import Annotated, Any

import pytest
from crispy_forms.utils import render_crispy_form
from django.utils import timezone
from pydantic import (
    UUID4,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    Field,
    FutureDate,
    HttpUrl,
    IPvAnyAddress,
    Json,
    NaiveDatetime,
    PastDate,
    PastDatetime,
    PostgresDsn,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_forms.schemas import MISSING, Schema, read_steps
from templates_app.schema_forms.shown import shown
from templates_app.schema_validation import check_schema
from zenweb.config.json_schema import ParameterSchema
from zenweb.exceptions import ValidationFailed

P = "steps.trainer.parameters.p"
BLANKLESS = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
WALL_CLOCK = datetime(2026, 1, 1)  # noqa: DTZ001  # what users write


class Colour(enum.StrEnum):
    DARK_RED = "#800"
    BLUE = "#00f"


class Priority(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Optimizer(enum.Enum):
    ADAM = "adam"
    RF = "random_forest"


class Place(enum.Enum):
    OHIO = "us-east-2"
    NORTH = "somewhere else"

    @property
    def label(self) -> str:
        return "Columbus, Ohio" if self is Place.OHIO else ""


class Report(BaseModel):
    tags: list[str] = Field(default_factory=lambda: ["nightly"])
    made: datetime = Field(default_factory=datetime.now)
    moments: list[datetime] = Field(default_factory=lambda: [datetime(2026, 1, 1, tzinfo=UTC)])
    keys: list[SecretStr] = Field(default_factory=lambda: [SecretStr("hush")])
    like_tags: list[str] = Field(default_factory=lambda found: found["tags"])
    failing: list[str] = Field(default_factory=lambda: [{}["missing"]])
    depth: int | None = Field(default_factory=lambda: 3)


@dataclasses.dataclass
class Arguments:
    report_to: list[str] = dataclasses.field(
        default_factory=lambda: ["tensorboard"], metadata={"help": "Where to report."}
    )


def schema_of(hint: Any, **keywords: Any) -> dict[str, Any]:
    """The schema of a pipeline with one step that has one parameter of this type."""
    made: dict[str, Any] = TypeAdapter(hint).json_schema(schema_generator=ParameterSchema)
    definitions = made.pop("$defs", {})
    parameters = {"type": "object", "additionalProperties": False, "properties": {"p": made}, **keywords}
    trainer = {"type": "object", "properties": {"parameters": parameters}}
    steps = {"type": "object", "additionalProperties": False, "properties": {"trainer": trainer}}
    return {"type": "object", "$defs": definitions, "properties": {"steps": steps}}


def form_of(hint: Any, typed: str | None = None, **keywords: Any) -> ConfigurationForm:
    data = None if typed is None else {P: typed}
    return ConfigurationForm(schema_of(hint, **keywords), validate=validate, data=data)


def refusals(hint: Any, value: Any) -> list[str]:
    configuration = {"steps": {"trainer": {"parameters": {"p": value}}}}
    return [error.message for error in validate(schema_of(hint), configuration)]


def is_accepted_by_pydantic(hint: Any, value: Any) -> bool:
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("hint", "value", "sentence"),
    [
        (NaiveDatetime, "2026-01-01T10:00:00Z", "This must not have a time zone"),
        (AwareDatetime, "2026-01-01T10:00:00", "This must have a time zone"),
        (PastDate, "2999-01-01", "This must be in the past."),
        (PastDate | None, "2999-01-01", "This must be in the past."),
        (FutureDate, "2001-01-01", "This must be in the future."),
        (PastDatetime, "2999-01-01T10:00:00", "This must be in the past."),
        (Annotated[date, Field(ge=date(2026, 1, 1))], "2025-12-31", "This must not be before 2026-01-01."),
        (Annotated[date, Field(lt=date(2026, 1, 1))], "2026-01-01", "This must be before 2026-01-01."),
        (
            Annotated[datetime, Field(gt=datetime(2026, 1, 1, tzinfo=UTC))],
            "2026-01-01T00:30:00+01:00",
            "This must be after 2026-01-01T00:00:00+00:00.",
        ),
        (
            datetime,
            "2026-01-01 10:00:00 +05:30",
            "This must be a date and time, such as 2026-03-01T12:30:00+00:00.",
        ),
        (time, "T12:30", "This must be a time, such as 12:30:00."),
        (Annotated[time, Field(le=time(12))], "12:30", "This must not be after 12:00:00."),
        (Annotated[timedelta, Field(le=timedelta(hours=1))], "PT2H", "This must be at most 1 h."),
        (Annotated[timedelta, Field(gt=timedelta(0))] | None, "PT0S", "This must be more than 0 s."),
        (Annotated[str, Field(pattern=r"^\w+$")], "a b", r"This does not have the expected form (^\w+$)."),
        (BLANKLESS, "  ", "Without the blanks at its ends, this must have at least 1 character."),
        (Json, "x", "This must be JSON, such as [1, 2]."),
        (Json[list[int]], '["x"]', "In the JSON of this text: "),
        (dict[int, bool], {"abc": True}, "The name “abc”: This must be a whole number."),
        (dict[float, bool], {"abc": True}, "The name “abc”: This must be a number"),
        (dict[date, bool], {"abc": True}, "The name “abc”: This must be a date"),
        (dict[Priority, bool], {"2": True}, "The name “2”: This must be one of: 1, 10."),
        (dict[Annotated[str, StringConstraints(pattern="^a")], bool], {"b": True}, "The name “b”: "),
        (IPvAnyAddress, "1.2.3", "This must be an IP address"),
        (IPv4Network, "1.2.3", "This must be a network"),
        (UUID4, "11111111-1111-1111-8111-111111111111", "This must be a UUID of version 4."),
        (AnyUrl, "example", "This must be an address"),
        (HttpUrl, "ftp://example.org/", "This must start with http:// or https://."),
        (PostgresDsn, "mysql://host/db", "This must start with postgres:// or postgresql://"),
    ],
)
def test_what_pydantic_would_refuse_is_refused_with_a_reason(hint: Any, value: Any, sentence: str) -> None:
    assert not is_accepted_by_pydantic(hint, value)
    [refusal] = refusals(hint, value)
    assert refusal.startswith(sentence)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (NaiveDatetime, "2026-01-01T10:00:00"),
        (AwareDatetime, "2026-01-01T10:00:00Z"),
        (PastDate, "2001-01-01"),
        (PastDatetime, "2001-01-01T10:00:00+05:00"),
        (FutureDate, "2999-01-01"),
        (Annotated[date, Field(ge=date(2026, 1, 1))], "2026-01-01"),
        (Annotated[datetime, Field(ge=WALL_CLOCK)], "2026-01-01T00:30:00+01:00"),
        (dict[int, bool], {"-7": True}),
        (dict[float, bool], {"1e-3": True}),
        (dict[Priority, bool], {"10": True}),
        (dict[Annotated[str, StringConstraints(pattern="^a")], bool], {"ab": True}),
        (IPvAnyAddress, "2001:db8::1"),
        (IPv4Network, "192.168.0.0/24"),
        (UUID4, "11111111-1111-4111-8111-111111111111"),
        *((kind, "https://müller.de/") for kind in (AnyUrl, HttpUrl)),
        (HttpUrl, "https://ex.org/straße"),
        (HttpUrl, "HTTPS://ex.org/a b"),
        (PostgresDsn, "postgres://user@one,two/db"),
        (Colour, "#800"),
    ],
)
def test_what_pydantic_takes_is_taken(hint: Any, value: Any) -> None:
    assert is_accepted_by_pydantic(hint, value)
    assert refusals(hint, value) == []


@pytest.mark.parametrize("typed", ["2026-01-31T14:30", "2026-01-31T14:30:00"])
def test_a_moment_without_a_time_zone_is_sent_without_one(typed: str) -> None:
    form = form_of(NaiveDatetime, typed)
    assert form.is_valid(), form.errors
    assert form.configuration["steps"]["trainer"]["parameters"]["p"] == "2026-01-31T14:30:00"
    page = render_crispy_form(form_of(NaiveDatetime))
    assert "Without a time zone" in page
    assert "Time zone:" not in page


def test_a_default_without_a_time_zone_is_shown_and_sent_as_it_is() -> None:
    hint = Annotated[NaiveDatetime, Field(default=WALL_CLOCK)]
    initial = form_of(hint).initial[P]
    form = form_of(hint, initial)
    assert form.is_valid(), form.errors
    assert form.configuration["steps"]["trainer"]["parameters"]["p"] == "2026-01-01T00:00:00"


@pytest.mark.parametrize(
    ("hint", "default", "shown_as"),
    [
        (date, "2026-01-01T00:00:00", "2026-01-01"),
        (datetime, "2026-01-01", "2026-01-01T00:00:00"),
        (timedelta, "01:30:00", "1 h 30 min"),
    ],
)
def test_what_pydantic_reads_too_stands_in_the_input_as_people_write_it(hint, default, shown_as) -> None:
    described = Annotated[hint, Field(json_schema_extra={"default": default})]
    initial = form_of(described).initial[P]
    assert initial == shown_as
    assert form_of(described, initial).is_valid()


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (PastDate, "In the past"),
        (
            Annotated[date, Field(ge=date(2026, 1, 1), lt=date(2027, 1, 1))],
            "Not before 2026-01-01, before 2027",
        ),
        (Annotated[time, Field(le=time(12))], "not after 12:00:00"),
        (
            Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=1))],
            "Such as 1 h 30 min, more than 0 s, at most 1 h",
        ),
        (Annotated[float, Field(ge=0, json_schema_extra={"unit": "kg"})], "In kg, at least 0"),
        (Annotated[Decimal, Field(max_digits=5, json_schema_extra={"unit": "€"})], "In €, at most 5 digits"),
        (Annotated[str, Field(examples=["s3://bucket"])], 'placeholder="s3://bucket"'),
        (Annotated[int | None, Field(examples=[8])], 'placeholder="8"'),
        (IPvAnyAddress, "An IP address"),
        (Arguments, "Where to report."),
        (Report, "Leave empty for a default that the code makes"),
    ],
)
def test_the_form_says_what_the_type_says(hint: Any, words: str) -> None:
    assert words in render_crispy_form(form_of(hint))


def test_an_example_of_a_secret_is_not_shown() -> None:
    hint = Annotated[SecretStr, Field(examples=["hunter2"])]
    assert "hunter2" not in render_crispy_form(form_of(hint))


@pytest.mark.parametrize(
    ("hint", "labels"),
    [
        (Colour, ["Dark red", "Blue"]),
        (Colour | None, ["Dark red", "Blue"]),
        (Priority, ["Low", "High"]),
        (Optimizer, ["adam", "random_forest"]),
        (Place, ["Columbus, Ohio", "North"]),
    ],
)
def test_members_of_an_enum_are_called_by_what_says_most(hint: Any, labels: list[str]) -> None:
    [step] = read_steps(schema_of(hint))
    assert [label for _, label in step.parameters[0].schema.choices()] == labels


def test_labels_stand_in_the_form_and_with_the_value_of_a_run() -> None:
    page = render_crispy_form(form_of(Annotated[Colour, Field(default=Colour.DARK_RED)]))
    assert '<option value="#800" selected>Dark red</option>' in page
    assert "Default: Dark red" in page
    assert 'value="1"' in (boxes := render_crispy_form(form_of(list[Priority])))
    assert "High" in boxes
    root = schema_of(Priority | None)
    [step] = read_steps(root)
    assert shown(step.parameters[0].schema, 10) == "High"


def test_a_unit_stands_beside_the_value_of_a_run() -> None:
    made = {"type": "number", "unit": "kg"}
    assert shown(Schema.read(made, {}), 2.5) == "2.5 kg"
    assert shown(Schema.read({**made, "anyOf": [{"type": "number"}, {"type": "null"}]}, {}), None) is None


@pytest.mark.parametrize(
    ("hint", "name", "default"),
    [
        (Arguments, "report_to", ["tensorboard"]),
        (Report, "tags", ["nightly"]),
        *((Report, name, MISSING) for name in ("made", "moments", "keys", "like_tags", "failing", "depth")),
    ],
)
def test_a_default_from_a_factory_is_told_if_it_is_always_the_same(
    hint: Any, name: str, default: Any
) -> None:
    made = TypeAdapter(hint).json_schema(schema_generator=ParameterSchema)["properties"][name]
    assert made.get("default", MISSING) == default
    assert made.get("zenweb-made-default", False) is (default is MISSING)


def today() -> str:
    raise AssertionError("nobody calls the author's code to look at it")


class Part(BaseModel):
    size: int = 3
    names: list[str] = Field(default_factory=lambda: ["a"])


class Checked(Part):
    @model_validator(mode="after")
    def look(self) -> "Checked":
        today()
        return self


class Dated(BaseModel):
    days: list[str] = Field(default_factory=lambda: [today()])


@pytest.mark.parametrize(
    ("factory", "default"),
    [
        (list, []),
        (lambda: [Part(size=1)], [{"size": 1, "names": ["a"]}]),
        (lambda: [Colour.DARK_RED], ["#800"]),
        (lambda: [today()], MISSING),
        (lambda: [Dated()], MISSING),
        (lambda: [Checked()], MISSING),
        (lambda told=today: [told()], MISSING),
        (lambda: [today() for _ in (1,)], MISSING),
        (lambda: [Part.__name__], MISSING),
        (today, MISSING),
    ],
)
def test_a_factory_is_called_only_where_it_puts_values_together(factory: Any, default: Any) -> None:
    hint = Annotated[list[Any], Field(default_factory=factory)]
    made = TypeAdapter(create_model("Made", a=(hint, ...))).json_schema(schema_generator=ParameterSchema)
    assert made["properties"]["a"].get("default", MISSING) == default


def test_an_untouched_form_leaves_to_the_code_what_it_makes() -> None:
    form = form_of(Report)
    sent = ConfigurationForm(schema_of(Report), validate=validate, data=dict(form.initial))
    assert sent.is_valid(), sent.errors
    assert sent.configuration["steps"]["trainer"]["parameters"]["p"] == {"tags": ["nightly"]}


@pytest.mark.parametrize(
    ("hint", "is_marked"),
    [
        (int, True),
        (int | None, False),
        (dict[str, int], False),
        (list[Colour], False),
        (list[Report], False),
        (Annotated[list[Colour], Field(min_length=1)], True),
        (Annotated[dict[str, int], Field(min_length=1)], True),
        (Annotated[list[Report], Field(min_length=1)], True),
        (list[Report] | None, False),
    ],
)
def test_required_is_what_cannot_be_left_untouched(hint: Any, is_marked: bool) -> None:
    keywords = {"required": ["p"]}
    form = form_of(hint, **keywords)
    assert (">required<" in render_crispy_form(form)) is is_marked
    untouched = {name: text for name, text in form.initial.items() if text is not MISSING}
    sent = ConfigurationForm(schema_of(hint, **keywords), validate=validate, data={P: "", **untouched})
    assert sent.is_valid() is not is_marked


def test_today_is_neither_in_the_past_nor_in_the_future() -> None:
    today = timezone.localdate().isoformat()
    assert refusals(PastDate, today) == ["This must be in the past."]
    assert refusals(FutureDate, today) == ["This must be in the future."]


@pytest.mark.parametrize(
    ("hint", "fixed", "words"),
    [(Priority, 10, "High"), (Colour | None, "#800", "Dark red"), (list[Priority], [1, 10], "Low, High")],
)
def test_a_value_that_is_fixed_is_called_by_its_label(hint: Any, fixed: Any, words: str) -> None:
    locked = {"const": fixed, "default": fixed, "zenweb-form": {"locked": True}}
    page = render_crispy_form(form_of(Annotated[hint, Field(json_schema_extra=locked)]))
    assert words in page


def test_an_address_is_one_line_however_long_it_may_be() -> None:
    assert "<textarea" not in render_crispy_form(form_of(HttpUrl))


@pytest.mark.parametrize(
    "keywords",
    [
        {"zenweb-moment": 5},
        {"zenweb-moment": {"zone": "Mars"}},
        {"zenweb-moment": {"zone": []}},
        {"zenweb-moment": {"ge": "soon"}},
        {"zenweb-moment": {"unknown": "x"}},
        {"zenweb-schemes": "http"},
    ],
)
def test_rules_that_no_sdk_writes_are_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailed, match="The schema cannot be used"):
        check_schema({"type": "string", **keywords})


@pytest.mark.parametrize("labels", [5, [5], [[]], [["#800", 5]], {"a": "b"}])
def test_labels_that_no_sdk_writes_are_passed_over(labels: Any) -> None:
    assert Schema.read({"enum": ["#800"], "zenweb-labels": labels}, {}).choices() == [("#800", "#800")]
