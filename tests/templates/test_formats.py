"""What the validator takes for a moment, a step takes as well, and the other way round."""

from datetime import datetime, time

import pytest
from pydantic import TypeAdapter, ValidationError

from templates_app.schema_validation import find_errors
from zenweb.exceptions import FieldError

MOMENTS = [
    "2026-01-01T10:00:00+05:30",
    "2026-01-01 10:00",
    "2026-01-01T10:00:00.123456Z",
    "2026-01-01t10:00",
    "0001-01-01T00:00:00+23:59",
    "2026-01-01T10:00:00+05",
    "20260101T100000",
    "2026-01-01 10:00:00 +05:30",
    "2026-01-01T10",
    "2026-01-01T10:00:00 Z",
    "2026-02-30T10:00",
    "2026-01-01T24:00:00",
]
TIMES = ["12:30", "12:30:00Z", "12:30:15.5+01:00", "T12:30", "12:30:00 +05:30", "12:30+01", "25:00", "12:60"]


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [(datetime, "date-time", text) for text in MOMENTS] + [(time, "time", text) for text in TIMES],
)
def test_a_moment_is_taken_where_the_step_takes_it(kind, name, text):
    try:
        TypeAdapter(kind).validate_python(text)
        is_taken = True
    except ValidationError:
        is_taken = False
    words = {
        "date-time": "a date and time, such as 2026-03-01T12:30:00+00:00",
        "time": "a time, such as 12:30:00",
    }
    refused = [] if is_taken else [FieldError("", f"This must be {words[name]}.")]
    assert find_errors({"type": "string", "format": name}, text) == refused
