"""The bounds of decimal numbers that come as texts: a keyword of ours, for JSON Schema has none."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from zenweb.config.json_schema import BOUNDS, DIGITS

_BREAKS: Mapping[str, tuple[Callable[[Decimal, Decimal], bool], str | Promise]] = {
    "gt": (lambda number, limit: number <= limit, gettext_lazy("This must be more than %(limit)s.")),
    "ge": (lambda number, limit: number < limit, gettext_lazy("This must be at least %(limit)s.")),
    "lt": (lambda number, limit: number >= limit, gettext_lazy("This must be less than %(limit)s.")),
    "le": (lambda number, limit: number > limit, gettext_lazy("This must be at most %(limit)s.")),
    "multiple_of": (
        lambda number, limit: not _is_multiple(number, limit),
        gettext_lazy("This must be a multiple of %(limit)s."),
    ),
}

# What was typed with up to so many digits can be told from the float that it was read as; and below such a number,
# which digits it had after the point.
EXACT_DIGITS, EXACT_LIMIT = 15, 2**53


class DecimalRules:
    """`{"gt": "0", "max_digits": 5}` and so on, as jsonschema-rs asks for it: complaints are ValueErrors."""

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        if not isinstance(rules, dict) or set(rules) - {*BOUNDS, *DIGITS}:
            raise ValueError(f"{rules!r} are no rules for decimal numbers")
        try:
            self.bounds = {name: Decimal(rules[name]) for name in BOUNDS if name in rules}
            self.digits, self.places = (int(rules[name]) if name in rules else None for name in DIGITS)
        except (InvalidOperation, TypeError, ValueError) as error:
            raise ValueError(f"{rules!r} are no rules for decimal numbers") from error

    def validate(self, instance: Any) -> None:
        try:
            number = Decimal(instance) if isinstance(instance, str) else None
        except InvalidOperation:
            return  # the pattern says so
        if number is None or not number.is_finite():
            return
        for name, limit in self.bounds.items():
            breaks, sentence = _BREAKS[name]
            if breaks(number, limit):
                raise ValueError(str(sentence) % {"limit": limit})
        _check_digits(number, self.digits, self.places)


class DigitRules:
    """`{"max_digits": 5}`, of a decimal number that comes as a number, whose bounds JSON Schema's own words tell."""

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        if not isinstance(rules, dict) or set(rules) - {*DIGITS}:
            raise ValueError(f"{rules!r} are no rules for the digits of numbers")
        try:
            self.digits, self.places = (int(rules[name]) if name in rules else None for name in DIGITS)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{rules!r} are no rules for the digits of numbers") from error

    def validate(self, instance: Any) -> None:
        if isinstance(instance, bool) or not isinstance(instance, int | float):
            return
        number = Decimal(repr(instance))  # as pydantic reads it
        if isinstance(instance, float) and (
            len(_significant(number)) > EXACT_DIGITS or abs(number) >= EXACT_LIMIT
        ):
            raise ValueError(
                gettext("A number of so many digits gets rounded: write it as a text, in quotes.")
            )
        _check_digits(number, self.digits, self.places)


def _check_digits(number: Decimal, most: int | None, most_places: int | None) -> None:
    digits, places = _size(number)
    if most_places is not None and places > most_places:
        words = ngettext(
            "This must have at most %(number)s digit after the point.",
            "This must have at most %(number)s digits after the point.",
            most_places,
        )
        raise ValueError(words % {"number": most_places})
    if most is not None and most_places is not None and digits - places > most - most_places:
        words = ngettext(
            "This must have at most %(number)s digit before the point.",
            "This must have at most %(number)s digits before the point.",
            most - most_places,
        )
        raise ValueError(words % {"number": most - most_places})
    if most is not None and digits > most:
        words = ngettext(
            "This must have at most %(number)s digit.",
            "This must have at most %(number)s digits.",
            most,
        )
        raise ValueError(words % {"number": most})


def _is_multiple(number: Decimal, step: Decimal) -> bool:
    try:
        return number % step == 0
    except InvalidOperation:  # too far from it for any step to be seen
        return False


def _size(number: Decimal) -> tuple[int, int]:
    """How many digits it has, and how many of them after the point; zeros at the end do not count."""
    _, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits))
    significant = text.rstrip("0")
    exponent = int(exponent) + len(text) - len(significant) if significant else 0
    places = max(0, -exponent)
    return max(len(significant) + max(0, exponent), places), places


def _significant(number: Decimal) -> str:
    return "".join(map(str, number.as_tuple().digits)).strip("0")
