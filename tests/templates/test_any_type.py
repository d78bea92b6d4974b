"""For types made up at random and values of theirs: what is shown and sent unchanged is the same."""

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal

from crispy_forms.utils import render_crispy_form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, create_model

from runs_app.run_configuration import validate
from templates_app.schema_forms import ConfigurationForm
from templates_app.schema_forms.json_editor import JsonControl
from tests.templates.sending import sent
from tests.templates.test_nested_forms import configuration, schema_of, value_of

# What HTML cannot carry (control characters) and what no text may hold (halves of surrogate pairs) is left out.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), max_size=12)
names = st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("model"))
times = st.times().map(lambda moment: moment.replace(microsecond=0))
moments = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001  hypothesis adds the zone
    datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Typed = tuple[Any, st.SearchStrategy[Any]]
LEAVES: list[Typed] = [
    (int, st.integers(-(10**18), 10**18)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (str, texts),
    (date, st.dates()),
    (datetime, moments.map(lambda moment: moment.replace(microsecond=0))),
    (time, times),
    (timedelta, st.timedeltas(timedelta(0), timedelta(days=999)).map(lambda d: timedelta(d.days, d.seconds))),
    (uuid.UUID, st.uuids()),
    (Decimal, st.decimals(-(10**6), 10**6, places=2)),
    (Colour, st.sampled_from(Colour)),
    (Level, st.sampled_from(Level)),
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
]


def lists(inner: Typed) -> Typed:
    return list[inner[0]], st.lists(inner[1], max_size=4)  # type: ignore[index]


def dictionaries(inner: Typed) -> Typed:
    keys = texts.filter(lambda text: text.strip() != "")
    return dict[str, inner[0]], st.dictionaries(keys, inner[1], max_size=3)  # type: ignore[index]


def optional(inner: Typed) -> Typed:
    return inner[0] | None, st.none() | inner[1]


def pairs(first: Typed, second: Typed) -> Typed:
    return tuple[first[0], second[0]], st.tuples(first[1], second[1])  # type: ignore[index]


def models(fields: dict[str, tuple[Typed, bool]]) -> Typed:
    made = create_model(
        "Made",
        **{  # type: ignore[call-overload]
            name: (kind, ... if is_required else None) if is_required else (kind | None, None)
            for name, ((kind, _), is_required) in fields.items()
        },
    )
    values = {name: value for name, ((_, value), _) in fields.items()}
    return made, st.fixed_dictionaries(values).map(lambda given: made(**given))


def unions(first: Typed, second: Typed) -> Typed:
    one, two = models({"left": (first, True)}), models({"right": (second, True)})
    return one[0] | two[0], one[1] | two[1]


def grown(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    fields = st.dictionaries(names, st.tuples(inner, st.booleans()), min_size=1, max_size=4)
    shapes: list[Callable[[Typed], Typed]] = [lists, dictionaries, optional]
    return (
        st.builds(lambda shape, kind: shape(kind), st.sampled_from(shapes), inner)
        | st.builds(pairs, inner, inner)
        | st.builds(unions, inner, inner)
        | fields.map(models)
    )


types = st.recursive(st.sampled_from(LEAVES), grown, max_leaves=6)
typed_values = types.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1]))
unchanged = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@unchanged
@given(typed_values)
def test_any_value_that_is_shown_and_sent_unchanged_is_the_same(typed: tuple[Any, Any]) -> None:
    kind, value = typed
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    given_value = adapter.dump_python(value, mode="json")
    schema = schema_of(kind)
    shown = ConfigurationForm(schema, validate=validate, configuration=configuration(given_value))
    data = sent(str(render_crispy_form(shown)))
    read = value_of(ConfigurationForm(schema, validate=validate, data=data))
    assert adapter.validate_python(read) == adapter.validate_python(given_value)
    assert not any(is_json(field) for field in shown.fields.values()), kind


def is_json(field: Any) -> bool:
    return isinstance(getattr(field, "control", None), JsonControl)


class Known(BaseModel):
    number: int = 1


@unchanged
@given(types, st.data())
def test_the_form_refuses_exactly_what_the_validator_refuses(typed: Typed, data: st.DataObject) -> None:
    """One input of a right form is typed over: whatever comes of it is judged by the one validator."""
    kind, values = typed
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = schema_of(kind)
    value = adapter.dump_python(data.draw(values), mode="json")
    shown = ConfigurationForm(schema, validate=validate, configuration=configuration(value))
    typed_in = sent(str(render_crispy_form(shown)))
    inputs = [name for name in typed_in if "~" not in name]
    if not inputs:
        return
    typed_in[data.draw(st.sampled_from(inputs))] = data.draw(
        texts | st.sampled_from(["0", "-1", "x", "", "1.5"])
    )
    form = ConfigurationForm(schema, validate=validate, data=typed_in)
    is_valid = form.is_valid()
    assert not validate(schema, form.configuration) or not is_valid
    if is_valid:
        adapter.validate_python(form.configuration.get("steps", {})["trainer"]["parameters"]["p"])
    assert form.errors if not is_valid else True
