"""What a text has to be like: patterns as a step's own types read them, and two rules JSON Schema does not check."""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jsonschema_rs
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext
from pydantic_core import SchemaError, SchemaValidator, core_schema

from zenweb.config.json_schema import DECIMAL_OR_NOT_FINITE, DECIMAL_PATTERN, WHOLE_NUMBER_PATTERN

PATTERN_WORDS: dict[str, str | Promise] = {
    DECIMAL_PATTERN: gettext_lazy("a number, such as 12.50"),
    DECIMAL_OR_NOT_FINITE: gettext_lazy("a number, such as 12.50, or NaN or Infinity"),
    WHOLE_NUMBER_PATTERN: gettext_lazy("a whole number"),
}


class PatternRules:
    r"""`pattern`, by the engine of the step's types: `\w` is a letter of any script, and every text takes linear time.

    That of JSON Schema is JavaScript's, to which `ü` is no letter. As jsonschema-rs asks for it: complaints are
    ValueErrors.
    """

    def __init__(self, parent: Any, pattern: Any, path: Any) -> None:
        self.pattern, self.fits = pattern, matcher(pattern)

    def validate(self, instance: Any) -> None:
        if not isinstance(instance, str) or self.fits(instance):
            return
        if words := PATTERN_WORDS.get(self.pattern):
            raise ValueError(gettext("This must be %(expected)s.") % {"expected": words})
        sentence = gettext("This does not have the expected form (%(pattern)s).")
        raise ValueError(sentence % {"pattern": self.pattern})


class StrippedRules:
    """`{"minLength": 1}`, of a text from whose ends the type takes the blanks before it looks at it."""

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        least = rules.get("minLength") if isinstance(rules, dict) else None
        if not isinstance(least, int) or len(rules) != 1:
            raise ValueError(f"{rules!r} are no rules for texts without blanks at their ends")
        self.least = least

    def validate(self, instance: Any) -> None:
        if isinstance(instance, str) and len(instance.strip()) < self.least:
            sentence = ngettext(
                "Without the blanks at its ends, this must have at least %(number)s character.",
                "Without the blanks at its ends, this must have at least %(number)s characters.",
                self.least,
            )
            raise ValueError(sentence % {"number": self.least})


class MediaRules:
    """`contentMediaType`, of which one can be told from the text: JSON, of the type `Json`."""

    def __init__(self, parent: Any, media_type: Any, path: Any) -> None:
        self.is_json = media_type == "application/json"

    def validate(self, instance: Any) -> None:
        if self.is_json and isinstance(instance, str):
            read_content(instance)


class ContentRules:
    """`contentSchema`: what the JSON in a text has to be. One with references is left to the step."""

    def __init__(self, parent: Any, schema: Any, path: Any) -> None:
        is_alone = '"$ref"' not in json.dumps(schema)
        self.validator = jsonschema_rs.Draft202012Validator(schema, offline=True) if is_alone else None

    def validate(self, instance: Any) -> None:
        if self.validator is None or not isinstance(instance, str):
            return
        for error in self.validator.iter_errors(read_content(instance)):
            raise ValueError(gettext("In the JSON of this text: %(error)s.") % {"error": error.message})


@lru_cache(maxsize=512)
def matcher(pattern: Any) -> Callable[[str], bool]:
    """Tells whether a text has the form. Raises ValueError for what is no pattern to the step's types either."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern)).isinstance_python
    except SchemaError as error:
        raise ValueError(f"{pattern!r} is not a pattern of regular expressions that is taken here") from error


def read_content(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(gettext("This must be JSON, such as [1, 2].")) from None
