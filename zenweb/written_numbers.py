"""Numbers as JSON and YAML write them."""

import math

LARGEST_EXACT = 2**53  # from here on, not every whole number is a float


def number_of(text: str) -> int | float:
    """A number that is written with a point or an exponent.

    Where that is a whole one which floats leave out (9007199254740993.0), it is an int: a type that asks for a float
    takes it as the same float.
    """
    number = float(text)
    if abs(number) < LARGEST_EXACT or math.isinf(number) or "e" in text.lower():
        return number
    whole, _, rest = text.partition(".")
    return number if rest.strip("0") or int(whole) == number else int(whole)
