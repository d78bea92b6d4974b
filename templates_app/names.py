"""What things may be called."""

import re
from collections.abc import Iterable, Sized
from typing import Any

from django.utils.translation import gettext

from zenweb.entity import is_id
from zenweb.exceptions import FieldError, ValidationFailed

NAME_LIMIT = 255
DESCRIPTION_LIMIT = 20_000
MOST_TAGS = 100
# Control characters, ends of lines and halves of surrogate pairs: nobody sees them, and not every database keeps them.
# What has no width or turns the direction of writing makes one name look like another; the joiners (U+200C, U+200D)
# stay, for Persian and emoji are written with them.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)

_UNKEPT = re.compile("[\x00\ud800-\udfff]")


def check_name(name: str) -> None:
    """Raises ValidationFailed for what can name nothing."""
    if not name.strip() or len(name) > NAME_LIMIT or name in {".", ".."} or "/" in name:
        sentence = gettext(
            "A name has between 1 and %(name_limit)s characters, and no slash: it is part of addresses."
        ) % {"name_limit": NAME_LIMIT}
        raise ValidationFailed([FieldError("/name", sentence)])
    if name != name.strip() or not is_one_line(name):
        sentence = gettext(
            "A name is one line, without control characters (such as tabs) and blanks at its ends: "
            "one has to see what it is."
        )
        raise ValidationFailed([FieldError("/name", sentence)])
    if is_id(name):
        sentence = gettext("A name must not look like an id: where either may be given, an id is meant.")
        raise ValidationFailed([FieldError("/name", sentence)])


def check_description(text: str) -> None:
    """Raises ValidationFailed for what no database keeps, or what nobody reads."""
    if len(text) > DESCRIPTION_LIMIT or _UNKEPT.search(text):
        sentence = gettext("A description has at most %(limit)s characters, and no NUL.")
        raise ValidationFailed([FieldError("/description", sentence % {"limit": DESCRIPTION_LIMIT})])


def check_tags(tags: Any, pointer: str = "/tags") -> None:
    """Raises ValidationFailed for all that can be no tag."""
    if errors := wrong_tags(tags, pointer):
        raise ValidationFailed(errors)


def changed_tags(tags: Iterable[str], added: Iterable[str], removed: Iterable[str] = ()) -> list[str]:
    """The tags with some more, each once, and without some. Raises ValidationFailed where that is too many."""
    former, gone = list(tags), set(removed)
    changed = [tag for tag in dict.fromkeys([*former, *added]) if tag not in gone]
    if len(changed) > max(MOST_TAGS, len(former)):  # what has more since before can be changed, too
        raise ValidationFailed([_too_many_tags("/add_tags")])
    return changed


def _too_many_tags(pointer: str) -> FieldError:
    return FieldError(pointer, gettext("There are at most %(most)s tags.") % {"most": MOST_TAGS})


def wrong_tags(tags: Any, pointer: str = "/tags") -> list[FieldError]:
    """The tags that can be none. Of what kind they are is looked at by whoever knows their schema."""
    if isinstance(tags, Sized) and len(tags) > MOST_TAGS:
        return [_too_many_tags(pointer)]
    sentence = gettext(
        "A tag is one line of at most %(limit)s characters, without control characters (such as tabs)."
    ) % {"limit": NAME_LIMIT}
    return [
        FieldError(f"{pointer}/{index}", sentence)
        for index, tag in enumerate(tags if isinstance(tags, Iterable) else ())
        if isinstance(tag, str) and (len(tag) > NAME_LIMIT or not is_one_line(tag))
    ]


def is_one_line(text: str) -> bool:
    """Whether all of a text can be seen, on one line."""
    return not _UNSEEN.search(text)
