"""One parameter of every kind of value that may change on its way, and a step that keeps what it is given."""

import enum
import inspect
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypedDict

from zenweb import pipeline, step


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 10


class Layer(BaseModel):
    units: int
    rate: float | None = None
    name: str = ""


class Net(BaseModel):
    layers: list[Layer] = []
    best: Layer | None = None
    seed: int | None = 7
    price: Decimal = Decimal("1.10")


@dataclass
class Point:
    x: float
    tags: list[str] = field(default_factory=list)


class Range(TypedDict, total=False):
    low: int
    high: int


EMOJI = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{MICROSCOPE} ✓"
DECOMPOSED = "cafe\N{COMBINING ACUTE ACCENT}"
RIGHT_TO_LEFT = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED} abc \N{RIGHT-TO-LEFT MARK}1"
INDIA = timezone(timedelta(hours=5, minutes=30))

# By a parameter's name: its type, and the value that is typed.
KINDS: dict[str, tuple[Any, Any]] = {
    "small": (int, 5),
    "nought": (int, 0),
    "negative": (int, -7),
    "beyond_floats": (int, 2**53 + 1),
    "beyond_64_bits": (int, 2**63),
    "enormous": (int, 10**30),
    "yes": (bool, True),
    "no": (bool, False),
    "int_of_both": (int | bool, 1),
    "bool_of_both": (int | bool, True),
    "share": (float, 0.1),
    "tiny": (float, 1e-5),
    "whole": (float, 1.0),
    "minus_nought": (float, -0.0),
    "huge": (float, 1e30),
    "smallest": (float, 5e-324),
    "largest": (float, 1.7976931348623157e308),
    "long": (float, 0.1 + 0.2),
    "int_of_numbers": (int | float, 1),
    "float_of_numbers": (int | float, 1.5),
    "empty": (str, ""),
    "five": (str, "5"),
    "true": (str, "true"),
    "null": (str, "null"),
    "norway": (str, "NO"),
    "exponent": (str, "1e5"),
    "clock": (str, "12:30"),
    "octal": (str, "0o17"),
    "version": (str, "1.10"),
    "tilde": (str, "~"),
    "day_as_text": (str, "2024-02-29"),
    "blanks": (str, "  between blanks  "),
    "lines": (str, "one\n\ntwo\n"),
    "tab": (str, "a\tb"),
    "marks": (str, "a: b # c, [d] {e} & *f !g |h >i %j @k `l"),
    "at": (str, "@home"),
    "quotes": (str, "it's \"quoted\" \\n \\u0041"),
    "emoji": (str, EMOJI),
    "decomposed": (str, DECOMPOSED),
    "right_to_left": (str, RIGHT_TO_LEFT),
    "separator": (str, "a\u2028b\u00a0c\ufeff"),
    "html": (str, "<b>&amp;</b>"),
    "nothing": (int | None, None),
    "not_nothing": (int | None, 0),
    "no_text": (str | None, None),
    "day": (date, date(2024, 2, 29)),
    "moment": (datetime, datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
    "moment_in_india": (datetime, datetime(2024, 2, 29, 23, 59, 59, 123456, INDIA)),
    "moment_in_zurich": (datetime, datetime(2024, 7, 1, 8, tzinfo=ZoneInfo("Europe/Zurich"))),
    "moment_anywhere": (datetime, datetime(2024, 2, 29, 12, 30)),  # noqa: DTZ001  # as people type it
    "at_half_past": (time, time(8, 30)),
    "to_the_microsecond": (time, time(23, 59, 59, 999999)),
    "took": (timedelta, timedelta(days=1, hours=2, seconds=3)),
    "took_microseconds": (timedelta, timedelta(microseconds=1)),
    "earlier": (timedelta, timedelta(minutes=-5)),
    "price": (Decimal, Decimal("1.10")),
    "precise": (Decimal, Decimal("0.1234567890123456789012345678901234567890")),
    "scaled": (Decimal, Decimal("1E+3")),
    "id": (UUID, UUID("12345678-1234-5678-1234-567812345678")),
    "colour": (Colour, Colour.BLUE),
    "size": (Size, Size.LARGE),
    "choice": (Literal["svm", "rf"], "rf"),
    "whole_choice": (Literal[1, 2], 2),
    "mixed_choice": (Literal[1, "1", True], "1"),
    "numbers": (list[int], [1, 2**63, -1]),
    "no_numbers": (list[int], []),
    "shares": (list[float], [1.0, 1e-5]),
    "words": (list[str], ["a", "", " b ", "null", "5"]),
    "gaps": (list[int | None], [1, None, 2]),
    "pair": (tuple[int, str], (1, "1")),
    "several": (set[int], {3, 1, 2}),
    "by_name": (dict[str, int], {"a": 1, "b.c": 2, "d/e~f": 3, "ü 1": 4, "null": 5}),
    "by_number": (dict[int, str], {1: "one", -2: "minus two"}),
    "by_day": (dict[date, float], {date(2024, 2, 29): 0.5}),
    "anything": (Any, {"a": [1, 1.5, None, "5", {"b": True}], "c": {}}),
    "net": (Net, Net(layers=[Layer(units=1), Layer(units=2, rate=1e-5, name="NO")], best=Layer(units=3), seed=None)),
    "plain_net": (Net, Net()),
    "layers": (dict[str, Layer], {"first one": Layer(units=1, rate=1.0)}),
    "point": (Point, Point(1.0, ["a", ""])),
    "range": (Range, {"low": 1}),
    "raw": (bytes, "bytes ✓".encode()),
    "bounded": (Annotated[int, Field(ge=0, le=10**30)], 10**30),
}  # fmt: skip
# What the step was given, in this process.
kept: dict[str, Any] = {}


def keeps(**values: Any) -> dict[str, Any]:
    kept.clear()
    kept.update(values)
    return values


KEYWORD = inspect.Parameter.KEYWORD_ONLY
keeps.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        *(inspect.Parameter(name, KEYWORD, annotation=hint) for name, (hint, _) in KINDS.items()),
        # Three that nobody gives a value.
        inspect.Parameter("left_out", KEYWORD, annotation=int, default=5),
        inspect.Parameter("left_out_text", KEYWORD, annotation=str | None, default="there"),
        inspect.Parameter("left_out_none", KEYWORD, annotation=str | None, default=None),
    ]
)
keeps.__annotations__ = {
    **{name: hint for name, (hint, _) in KINDS.items()},
    "left_out": int,
    "left_out_text": str | None,
    "left_out_none": str | None,
    "return": Annotated[dict, "values"],
}
keeps = step(keeps)


@step
def judges(
    number: int = 0,
    share: float = 0.0,
    switch: bool = False,
    text: str = "",
    maybe: int | None = 7,
    number_or_text: int | str = 0,
    key: SecretStr | None = None,
    price: Decimal = Decimal(1),
    moment: datetime | None = None,
    city: Annotated[str, Field(pattern=r"^\w+$")] = "Zürich",
) -> None:
    kept.clear()
    kept.update(locals())


@pipeline
def judging_pipeline():
    judges()


@pipeline
def faithful_pipeline():
    """Every value is given when it is run."""
    keeps()


@pipeline
def frozen_pipeline():
    """Every value is frozen with the code."""
    keeps(**{name: value for name, (_, value) in KINDS.items()})
