"""Which files a parameter takes: a keyword of ours, beside the shape of a reference that JSON Schema has words for."""

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext

from zenweb.config.file_references import size_words, suffix_of

KINDS = ("path", "bytes", "table")


class FileRules:
    """`{"as": "path", "types": [".csv"], "max_size": 50000}`, as jsonschema-rs asks for it: complaints are ValueErrors.

    What a reference leads to is looked at when a run is launched: here nobody asks a database.
    """

    def __init__(self, parent: Any, rules: Any, path: Any) -> None:
        if not is_file_rules(rules):
            raise ValueError(f"{rules!r} are no rules for files")
        self.types: list[str] = rules.get("types", []) if rules["as"] == "path" else []

    def validate(self, instance: Any) -> None:
        """A text is a path where the step runs."""
        if isinstance(instance, str) and (sentence := wrong_type(instance.rpartition("/")[2], self.types)):
            raise ValueError(sentence)


def wrong_type(name: str, types: Collection[str]) -> str:
    """What is wrong with a file of this name where only these types are taken; empty if nothing is."""
    if not types or suffix_of(name) in types:
        return ""
    told = {"name": name, "types": ", ".join(types)}
    return gettext("%(name)s is not of a type that is taken here: %(types)s.") % told


def too_large(limit: int, name: str) -> str:
    told = {"name": name, "size": size_words(limit)}
    return gettext("%(name)s is larger than %(size)s, which is the limit here.") % told


def is_file_rules(rules: Any) -> bool:
    if (
        not isinstance(rules, dict)
        or rules.get("as") not in KINDS
        or set(rules) - {"as", "types", "max_size"}
    ):
        return False
    types, size = rules.get("types", []), rules.get("max_size", 1)
    return (
        isinstance(types, list)
        and all(isinstance(each, str) and each.startswith(".") for each in types)
        and isinstance(size, int)
        and size > 0
    )


def expected_words(rules: Any) -> str:
    """What is to be given, for people who write it themselves."""
    told = {"file": '{"artifact_version": "<the id of an upload or artifact version>"}'}
    match rules:
        case {"as": "path"}:
            return gettext("a file: %(file)s, or the path to one where the step runs") % told
        case {"as": "bytes"}:
            return gettext("a file: %(file)s, or a text") % told
    return gettext("a file: %(file)s") % told
