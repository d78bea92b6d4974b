"""Errors in the words of a form: whoever fills it in has never seen a JSON pointer."""

from typing import Any

import pytest

from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_forms.wording import in_words, worded
from tests.templates.test_schema_forms import schema_of
from zenweb.exceptions import FieldError

KIND = {"title": "Kind", "type": "object", "properties": {"kind": {"type": "string"}}}
PARAMETERS: dict[str, Any] = {
    "rate": {"type": "number"},
    "models": {"title": "Ms", "type": "array", "items": {"anyOf": [KIND, {"type": "string"}]}},
    "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"$ref": "#/$defs/Kind"}]},
    "by_year": {"type": "object", "additionalProperties": {"type": "array", "items": KIND}},
}

KEYS = {"steps", "settings", "model"}


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ("", ""),
        ("/steps/trainer/parameters/rate", "“Rate” (Trainer): "),
        ("/steps/trainer/parameters/models/0/kind", "“Ms” (Trainer, entry 1, Kind): "),
        ("/steps/trainer/parameters/pair/1", "“Pair” (Trainer, entry 2): "),
        ("/steps/trainer/parameters/by_year/2026/0", "“By year” (Trainer, 2026, entry 1): "),
        ("/steps/trainer/parameters/old", "Trainer: "),
        ("/steps/trainer/retry/max_retries", "Trainer, retry, max_retries: "),
        ("/steps/trainr", ""),
        ("/steps/train_3/parameters/max_depth/0", "“Max depth” (Train 3, entry 1): "),
        ("/tags/0", "tags, entry 1: "),
    ],
)
def test_an_error_has_the_names_of_its_place(pointer: str, words: str) -> None:
    steps = read_steps(schema_of(PARAMETERS))
    assert worded(FieldError(pointer, "It is wrong."), steps) == f"{words}It is wrong."


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (
            "/steps/trainer/parameters/rate: Too low. /steps/trainer/parameters/pair/1: Odd.",
            "“Rate” (Trainer): Too low. “Pair” (Trainer, entry 2): Odd.",
        ),
        ("/model: accepted, no effect", "model: accepted, no effect"),
        ("/steps/trainer/settings/x: accepted, no effect", "Trainer, settings, x: accepted, no effect"),
        ("See https://there/steps/trainer: it says why.", "See https://there/steps/trainer: it says why."),
        ("No such file: /srv/parameters", "No such file: /srv/parameters"),
    ],
)
def test_a_stored_text_is_told_with_the_names_of_the_form(stored: str, words: str) -> None:
    assert in_words(stored, read_steps(schema_of(PARAMETERS)), KEYS) == words


@pytest.mark.parametrize(
    "told",
    [
        "/data: Permission denied",
        "cannot read /parameters/model.json: missing",
        "open /settings/prod: denied",
        "open /steps/9/out: denied",
    ],
)
def test_what_only_looks_like_a_place_stays(told: str) -> None:
    assert in_words(told, read_steps(schema_of(PARAMETERS)), KEYS) == told
