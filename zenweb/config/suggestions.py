"""What to say beside a name that does not exist. Both begin with a blank, to follow a sentence."""

import difflib
from collections.abc import Iterable
from heapq import nlargest
from typing import Final

_LONGEST: Final = 100  # characters of what might be mistyped
_MOST_COMPARED: Final = 50  # letter by letter, which takes long


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing where nothing is close."""
    close = closest(name, known)
    return f" Did you mean {close!r}?" if close is not None else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The one that is most like it, if one is like it at all."""
    if len(name) > _LONGEST:
        return None
    return next(iter(difflib.get_close_matches(name, _likely(name, list(known)), n=1)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """The name probably meant, or else which names there are."""
    names = list(known)
    return did_you_mean(name, names) or (f" There is: {', '.join(names)}." if names else "")


def _likely(name: str, known: list[str]) -> list[str]:
    """Of many, those that begin and end most like it: whoever mistypes one letter has the rest right."""
    if len(known) <= _MOST_COMPARED:
        return known
    cuts = [len(name) * part // 4 for part in (1, 2, 3)]
    beginnings, ends = [name[:cut] for cut in cuts], [name[cut:] for cut in cuts]

    def likeness(other: str) -> int:
        return sum(map(other.startswith, beginnings)) + sum(map(other.endswith, ends))

    short = (other for other in known if len(other) <= 2 * _LONGEST)
    return nlargest(_MOST_COMPARED, short, key=likeness)


def article(noun: str) -> str:
    return "an" if noun[:1].lower() in "aeiou" else "a"
