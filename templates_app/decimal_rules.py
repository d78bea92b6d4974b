"""The bounds of decimal numbers that come as texts: a keyword of ours, for JSON Schema has none."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from zenweb.config.json_schema import BOUNDS, DIGITS

_BREAKS: Mapping[str, tuple[Callable[[Decimal, Decimal], bool], str]] = {
    "gt": (lambda number, limit: number <= limit, "more than"),
    "ge": (lambda number, limit: number < limit, "at least"),
    "lt": (lambda number, limit: number >= limit, "less than"),
    "le": (lambda number, limit: number > limit, "at most"),
    "multiple_of": (lambda number, limit: not _is_multiple(number, limit), "a multiple of"),
}


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
            breaks, words = _BREAKS[name]
            if breaks(number, limit):
                raise ValueError(f"This must be {words} {limit}.")
        digits, places = _size(number)
        if self.places is not None and places > self.places:
            raise ValueError(f"This must have at most {self.places} digits after the point.")
        if self.digits is not None and digits > self.digits:
            raise ValueError(f"This must have at most {self.digits} digits.")


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
