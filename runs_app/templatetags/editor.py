"""The words of the YAML editor, for its script."""

import json

from django import template
from django.utils.translation import gettext, gettext_noop, ngettext

register = template.Library()

MOST_COUNTED = 99
# What CodeMirror says, as its sources have it, and what the completion does.
PHRASES = [
    gettext_noop("Completions"),
    gettext_noop("Control character"),
    gettext_noop("Diagnostics"),
    gettext_noop("Find"),
    gettext_noop("Fold line"),
    gettext_noop("Folded lines"),
    gettext_noop("Go to line"),
    gettext_noop("No diagnostics"),
    gettext_noop("Replace"),
    gettext_noop("Selection deleted"),
    gettext_noop("Unfold line"),
    gettext_noop("Unfolded lines"),
    gettext_noop("all"),
    gettext_noop("by word"),
    gettext_noop("close"),
    gettext_noop("current match"),
    gettext_noop("default"),
    gettext_noop("folded code"),
    gettext_noop("go"),
    gettext_noop("match case"),
    gettext_noop("next"),
    gettext_noop("on line"),
    gettext_noop("previous"),
    gettext_noop("regexp"),
    gettext_noop("replace"),
    gettext_noop("replace all"),
    gettext_noop("replaced $ matches"),
    gettext_noop("replaced match on line $"),
    gettext_noop("required"),
    gettext_noop("to"),
    gettext_noop("unfold"),
]


@register.simple_tag
def editor_phrases() -> str:
    return json.dumps({text: gettext(text) for text in PHRASES}, ensure_ascii=False)


@register.simple_tag
def things_to_correct() -> str:
    """How many things are wrong, for each number: the plurals of a language are known here and not in the script."""
    counted = [
        ngettext("%(count)s thing to correct", "%(count)s things to correct", number) % {"count": number}
        for number in range(1, MOST_COUNTED + 1)
    ]
    more = gettext("More than %(number)s things to correct") % {"number": MOST_COUNTED}
    return json.dumps([*counted, more], ensure_ascii=False)
