"""The names of inputs: where in a value an input belongs, and whether what is typed there may be kept."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from templates_app.schema_forms.schemas import Schema
from templates_app.schema_places import holds_secret, schemas_at, schemas_below

# Inputs that say how a form looks, and what entries are called: never a value.
ABOUT_THE_FORM = frozenset({"~", "~kind", "~key"})

# What names of inputs have another use for, and what changes on the way: browsers write quotes and line breaks
# otherwise, and a server drops blanks at the end and backslashes.
QUOTED = re.compile(r'[%.~"\\\s\x00-\x1f\x7f]')


def quoted(key: str) -> str:
    """A key as it stands in the name of an input."""
    return QUOTED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), key)


def unquoted(part: str) -> str:
    """The key that a part of a name stands for."""
    return unquote(part)


def is_secret_input(root: dict[str, Any], parts: Sequence[str], start: dict[str, Any] | None = None) -> bool:
    """Whether what is typed in an input may neither be kept nor come back from the server.

    `parts` are those of its name, below `start`, a part of the schema, or the whole of it. What the schema does not
    know counts as a part of what it stands in.
    """
    if parts and parts[-1] in ABOUT_THE_FORM:
        return False
    here = schemas_at(root, (), start)
    for part in parts:
        here = _below(root, here, part) or here
    return holds_secret(here, root)


def _below(root: dict[str, Any], here: list[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    if not part.startswith("~"):
        return schemas_below(root, here, unquoted(part))
    kinds = [
        kind
        for schema in here
        for number, kind in enumerate(Schema.read(schema, root).branches())
        if part == f"~{number}"
    ]
    return [schema for kind in kinds for schema in schemas_at(root, (), dict(kind.keywords))]
