"""Lengths of time as people read them."""

from datetime import timedelta

SHOWN = ((86_400, "d"), (3_600, "h"), (60, "min"))


def length_words(length: timedelta) -> str:
    """`1 h 30 min`."""
    sign, length = ("-", -length) if length < timedelta(0) else ("", length)
    rest, words = length // timedelta(seconds=1), list[str]()
    for size, unit in SHOWN:
        count, rest = divmod(rest, size)
        words += [f"{count} {unit}"] if count else []
    seconds = f"{rest + length.microseconds / 1e6:f}".rstrip("0").rstrip(".")
    words += [f"{seconds} s"] if seconds != "0" else []
    return sign + " ".join(words) or "0 s"
