"""Names that somebody may mean: what pages and REST say beside one that does not exist, and a search."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext

from zenweb.config.suggestions import closest

Json = Any
MOST_NAMED = 12
LONGEST_NAME = 100  # characters that are shown of one


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, to follow a sentence, or nothing where nothing is close."""
    close = closest(name, known)
    return " " + gettext("Did you mean %(name)r?") % {"name": close} if close is not None else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """The name probably meant, or else which names there are, to follow a sentence."""
    names = list(known)
    if (meant := did_you_mean(name, names)) or not names:
        return meant
    return " " + gettext("There is: %(names)s.") % {"names": ", ".join(names)}


def some_of(names: Sequence[str]) -> str:
    """The names, or of many the first ones and how many more there are."""
    shown = ", ".join(
        name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in names[:MOST_NAMED]
    )
    if (more := len(names) - MOST_NAMED) <= 0:
        return shown
    return gettext("%(names)s and %(number)s more") % {"names": shown, "number": f"{more:,}"}


def options_with(text: str, options: Sequence[tuple[Json, str]]) -> list[tuple[Json, str]]:
    """Those with all these words in their value or label."""
    words = text.casefold().split()
    return [
        (value, label)
        for value, label in options
        if all(word in f"{value} {label}".casefold() for word in words)
    ]
