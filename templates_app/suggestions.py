"""What pages and REST say beside a name that does not exist. Both begin with a blank, to follow a sentence."""

from collections.abc import Iterable

from django.utils.translation import gettext

from zenweb.config.suggestions import closest


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing where nothing is close."""
    close = closest(name, known)
    return " " + gettext("Did you mean %(name)r?") % {"name": close} if close is not None else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """The name probably meant, or else which names there are."""
    names = list(known)
    if (meant := did_you_mean(name, names)) or not names:
        return meant
    return " " + gettext("There is: %(names)s.") % {"names": ", ".join(names)}
