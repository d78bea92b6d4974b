"""What to say beside a name that does not exist. Both begin with a blank, to follow a sentence."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing where nothing is close."""
    close = closest(name, known)
    return f" Did you mean {close!r}?" if close is not None else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The name probably meant, or else which names there are."""
    names = list(known)
    return did_you_mean(name, names) or (f" There is: {', '.join(names)}." if names else "")


def article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"
