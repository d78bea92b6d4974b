"""What a schema's bounds say, in words a person reads beside the input."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from templates_app.durations import length_words
from templates_app.moment_rules import DURATION, read_moment
from templates_app.schema_forms.schemas import Json, Parameter, Schema, Step, humanise, label_of
from templates_app.schema_places import schemas_below
from templates_app.schema_validation import place_words
from zenweb.config.defaults import Source, SourceName, yesterday
from zenweb.config.json_schema import MOMENT_RULES
from zenweb.exceptions import FieldError
from zenweb.pointers import from_pointer

WRONG_TEXT = 60  # characters of a value that are shown again
STATED_PLACE = re.compile(r"(^/[a-z_]+|(?<!\S)/(?:steps|parameters|settings)(?:/[^\s:]+)?): ")
FORMATS: dict[str, str | Promise] = {
    "email": gettext_lazy("An e-mail address"),
    "idn-email": gettext_lazy("An e-mail address"),
    "uri": gettext_lazy("A full address such as https://example.com"),
    "uuid": gettext_lazy("A UUID"),
    "color": gettext_lazy("A colour such as #336699"),
    "ipv4": gettext_lazy("An IPv4 address"),
    "ipv6": gettext_lazy("An IPv6 address"),
    "ipvanyaddress": gettext_lazy("An IP address"),
    "ipvanyinterface": gettext_lazy("An IP address with its network, such as 192.168.0.1/24"),
    "ipvanynetwork": gettext_lazy("A network such as 192.168.0.0/24"),
    "ipv4interface": gettext_lazy("An IPv4 address with its network, such as 192.168.0.1/24"),
    "ipv4network": gettext_lazy("A network such as 192.168.0.0/24"),
    "ipv6interface": gettext_lazy("An IPv6 address with its network, such as 2001:db8::1/64"),
    "ipv6network": gettext_lazy("A network such as 2001:db8::/32"),
    "uuid4": gettext_lazy("A UUID of version 4"),
    "hostname": gettext_lazy("A host name"),
    "time": gettext_lazy("A time such as 14:30:00"),
    "duration": gettext_lazy("An ISO 8601 duration such as PT30M"),
    "path": gettext_lazy("A path"),
    "file-path": gettext_lazy("A path to a file"),
    "directory-path": gettext_lazy("A path to a folder"),
}


def worded(error: FieldError, steps: Iterable[Step]) -> str:
    """An error with the names that its place has in the form instead of its pointer."""
    path, steps = from_pointer(error.pointer), list(steps)
    words = gettext("“%(title)s” (%(place)s): %(error)s")
    for step in steps:
        for parameter in step.parameters:
            own = len(parameter.path)
            if path[:own] == parameter.path:
                place = place_words([step.title, *_names(parameter, path[own:])])
                return words % {"title": parameter.title, "place": place, "error": error.message}
    match path:
        # A step of another deployment, which the pipeline has with other parameters.
        case ("steps", name, "parameters", asked, *rest) if all(name != step.name for step in steps):
            place = place_words([humanise(name), *(int(part) if part.isdecimal() else part for part in rest)])
            return words % {"title": humanise(asked), "place": place, "error": error.message}
    if path[:1] == ("parameters",):
        path = path[2:]
    if path[:1] == ("steps",):
        titles = [step.title for step in steps if (step.name,) == path[1:2]]
        # Of a step or a parameter that is unknown, the sentence says the name.
        path = (*titles, *(path[2:] if path[2:3] != ("parameters",) else ()))
    place = place_words([int(part) if part.isdecimal() else part for part in path])
    return f"{place}: {error.message}" if place else error.message


def in_words(text: str, steps: Sequence[Step], keys: Collection[str]) -> str:
    """A text whose sentences were stored behind pointers, with the names that their places have in the form.

    `keys`: what a configuration has beside its steps. What only looks like a pointer, such as a file in an error of a
    step's, stays.
    """

    def named(found: re.Match[str]) -> str:
        path = from_pointer(found[1])
        return worded(FieldError(found[1], ""), steps) if _is_place(path, steps, keys) else found[0]

    return STATED_PLACE.sub(named, text)


def _is_place(path: Sequence[str], steps: Sequence[Step], keys: Collection[str]) -> bool:
    match tuple(path):
        case (key,):
            return key in keys
        case ("steps", _, "parameters", _, *_):
            return True  # also of a step that the pipeline has with other parameters of its own only
        case ("steps", name, *_):
            return any(step.name == name for step in steps)
    return any(
        tuple(path[: len(parameter.path)]) == tuple(parameter.path)
        for step in steps
        for parameter in step.parameters
    )


def _names(parameter: Parameter, path: Sequence[str]) -> Iterator[str | int]:
    """What stands at each part of a path below a parameter: titles, and the indices of entries."""
    root = dict(parameter.schema.root)
    here = [dict(parameter.schema.keywords)]
    for part in path:
        below = schemas_below(root, here, part)
        known = [properties[part] for each in here if part in (properties := each.get("properties") or {})]
        if part.isdecimal() and not known and any("items" in each or "prefixItems" in each for each in here):
            yield int(part)
        elif known:
            yield (
                str(known[0].get("title") or humanise(part)) if isinstance(known[0], dict) else humanise(part)
            )
        else:
            yield part
        here = below


def describe_bounds(schema: Schema) -> str:
    """One short phrase, such as "More than 0, at most 1", or "" where everything goes."""
    parts = [
        *_number_bounds(schema),
        *moment_bounds(schema),
        *_count("minLength", "maxLength", schema, _characters),
        *_items_bounds(schema),
    ]
    if words := FORMATS.get(schema.format):
        parts.insert(0, str(words))
    if unit := schema.text("unit"):
        parts.insert(0, gettext("In %(unit)s") % {"unit": unit})
    if pattern := schema.text("pattern"):
        parts.append(gettext("Must match %(pattern)s") % {"pattern": pattern})
    return ", ".join(part if index == 0 else part[:1].lower() + part[1:] for index, part in enumerate(parts))


def source_words(source: Source) -> str:
    """Where a default comes from, as it stands in a sentence: `today`, `7 days before today`."""
    if source.name is SourceName.LAST_SUCCESSFUL:
        return gettext("as in the last successful run")
    if source == yesterday:
        return gettext("yesterday")
    moment = gettext("today") if source.name is SourceName.TODAY else gettext("now")
    if not source.offset:
        return moment
    told = {"length": _length(abs(source.offset)), "moment": moment}
    if source.offset < timedelta(0):
        return gettext("%(length)s before %(moment)s") % told
    return gettext("%(length)s after %(moment)s") % told


def _length(length: timedelta) -> str:
    seconds = length.total_seconds()
    if not seconds % 86_400:
        number, words = seconds / 86_400, ngettext("%(number)s day", "%(number)s days", int(seconds / 86_400))
    elif not seconds % 3_600:
        number, words = seconds / 3_600, ngettext("%(number)s hour", "%(number)s hours", int(seconds / 3_600))
    elif not seconds % 60:
        number, words = seconds / 60, ngettext("%(number)s minute", "%(number)s minutes", int(seconds / 60))
    else:
        number, words = seconds, ngettext("%(number)s second", "%(number)s seconds", math.ceil(seconds))
    return words % {"number": f"{number:g}"}


def _number_bounds(schema: Schema) -> list[str]:
    low, high = schema.number("minimum"), schema.number("maximum")
    above, below = schema.number("exclusiveMinimum"), schema.number("exclusiveMaximum")
    step = schema.number("multipleOf")
    if low is not None and high is not None and above is None and below is None:
        parts = [gettext("From %(low)s to %(high)s") % {"low": label_of(low), "high": label_of(high)}]
    else:
        bounds = [
            (gettext_lazy("More than %(limit)s"), above),
            (gettext_lazy("At least %(limit)s"), low),
            (gettext_lazy("Less than %(limit)s"), below),
            (gettext_lazy("At most %(limit)s"), high),
        ]
        parts = [words % {"limit": label_of(bound)} for words, bound in bounds if bound is not None]
    if step is not None:
        parts.append(gettext("In steps of %(step)s") % {"step": label_of(step)})
    return parts


def moment_bounds(schema: Schema) -> list[str]:
    said = schema.keywords.get(MOMENT_RULES)
    if not isinstance(said, Mapping):
        return []
    moment = {"past": gettext("In the past"), "future": gettext("In the future")}.get(said.get("now", ""), "")
    bounds = [
        (gettext("After %(limit)s"), said.get("gt")),
        (gettext("Not before %(limit)s"), said.get("ge")),
        (gettext("Before %(limit)s"), said.get("lt")),
        (gettext("Not after %(limit)s"), said.get("le")),
    ]
    if schema.format == "duration":
        bounds = [
            (gettext("More than %(limit)s"), _length_words(said.get("gt"))),
            (gettext("At least %(limit)s"), _length_words(said.get("ge"))),
            (gettext("Less than %(limit)s"), _length_words(said.get("lt"))),
            (gettext("At most %(limit)s"), _length_words(said.get("le"))),
        ]
    limits = [words % {"limit": str(bound).replace("T", " ")} for words, bound in bounds if bound]
    return [moment, *limits] if moment else limits


def _length_words(said: Json) -> str:
    length = read_moment(said, [DURATION]) if isinstance(said, str) else None
    return length_words(length) if isinstance(length, timedelta) else ""


def _items_bounds(schema: Schema) -> list[str]:
    parts = _count("minItems", "maxItems", schema, _entries)
    return [*parts, gettext("Each only once")] if schema.keywords.get("uniqueItems") is True else parts


def _count(
    low_keyword: str, high_keyword: str, schema: Schema, counted: Callable[[int | float], str]
) -> list[str]:
    low, high = schema.number(low_keyword), schema.number(high_keyword)
    if low and low == high:
        return [gettext("Exactly %(number)s") % {"number": counted(low)}]
    if low and high is not None:
        return [gettext("From %(low)s to %(high)s") % {"low": label_of(low), "high": counted(high)}]
    if low:
        return [gettext("At least %(limit)s") % {"limit": counted(low)}]
    return [gettext("At most %(limit)s") % {"limit": counted(high)}] if high is not None else []


def _characters(number: int | float) -> str:
    words = ngettext("%(number)s character", "%(number)s characters", math.ceil(number))
    return words % {"number": label_of(number)}


def _entries(number: int | float) -> str:
    return ngettext("%(number)s entry", "%(number)s entries", math.ceil(number)) % {
        "number": label_of(number)
    }


def shortened(text: str) -> str:
    """A value as a sentence repeats it."""
    return text if len(text) <= WRONG_TEXT else text[: WRONG_TEXT - 1] + "…"
