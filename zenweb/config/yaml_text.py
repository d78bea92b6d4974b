"""YAML as people write it: read safely, within limits and with the line of every place; and written for them."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from zenweb.exceptions import ValidationFailed
from zenweb.pointers import pointer_to
from zenweb.written_numbers import LARGEST_EXACT, number_of

MOST_LEVELS = 100
# Aliases write a thing once and mean it often, and may do so inside each other.
MOST_REPEATED = 20_000
LONGEST_NUMBER = 10_000  # bits; Python neither reads nor writes decimal numbers that are much longer
COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
# What YAML 1.2 and JSON have no type for: dates, and the sign "=".
TEXTS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
# What a key may look like: as a key it is the text that stands there, not Python's word for what it means.
NAMES = TEXTS | {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
MERGE = "tag:yaml.org,2002:merge"
# What the parser says of the mistakes that people make, and what it means.
MEANINGS = {
    "mapping values are not allowed": "A `:` does not fit here: quote the text, or correct the indentation.",
    "expected <block end>": "The indentation does not fit the lines before.",
    "found character '\\t'": "A tab stands here: indent with blanks.",
    "found unexpected end of stream": "A quote is opened and not closed.",
    "could not find expected ':'": "A `:` is missing: names and values are written `name: value`.",
    "expected a single document": "There is a second document here, after `---`: only one is read.",
    "but found another document": "There is a second document here, after `---`: only one is read.",
}


class YamlRefused(ValidationFailed):
    """The text is not YAML, or no YAML that is taken here; `line` counts from 1, 0 where there is none."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class YamlDocument:
    """What a text says as JSON, and where it says it."""

    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    """The line, from 1, of each JSON pointer."""
    has_aliases: bool = False

    def line_of(self, pointer: str) -> int:
        """The line of a place; of what is missing, the line of where it is missed."""
        while pointer not in self.lines and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)


def read(text: str) -> YamlDocument:
    """YAML 1.2: `NO` is a text, `1e-5` a number and `12:30` a text. Raises YamlRefused: one sentence and its line."""
    # Only the pure parser speaks 1.2; safe: no tag makes an object of a class.
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = ShallowComposer
    try:
        return Reader(yaml).document(yaml.compose(text.removeprefix("\ufeff")))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlRefused(_sentence(error.problem or error.context), mark.line + 1 if mark else 0) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise YamlRefused(f"This is not YAML: {_sentence(str(error))}", _line_in(error, text)) from error


def write(value: Any) -> str:
    """JSON as YAML that `read` reads as the same."""
    if value in ({}, None):
        return ""
    return _dump(_for_people(value))


def rewrite(text: str, value: Any, document: YamlDocument | None = None) -> str:
    """The text made to say `value`, with its comments wherever they still have a place.

    `document`: what the text says, where the caller has read it.
    """
    try:
        document = document or read(text)
        if document.value == value:
            return text
        if "#" not in text:
            return write(value)
        if isinstance(document.value, dict) and isinstance(value, dict) and not document.has_aliases:
            with suppress(YAMLError, ValueError, KeyError):
                changed = _writer().load(text)
                _change(changed, document.value, value)
                new = _dump(changed)
                if read(new).value == value:
                    return new
    except ValidationFailed:
        pass
    return write(value)


class ShallowComposer(Composer):
    """Stops where a document is nested too deeply, before Python's own stack does."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # the second one counts from there on
        self._levels = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._levels += 1
        if self._levels > MOST_LEVELS:
            mark = self.parser.peek_event().start_mark
            raise YamlRefused(f"This is nested more than {MOST_LEVELS} levels deep.", mark.line + 1)
        try:
            return super().compose_node(parent, index)
        finally:
            self._levels -= 1


class Reader:
    """Turns nodes into JSON values, and notes their lines."""

    def __init__(self, yaml: YAML) -> None:
        self._constructor = yaml.constructor
        self._document = YamlDocument(None)
        self._seen = set[int]()
        self._repeated = 0

    def document(self, root: Node | None) -> YamlDocument:
        if root is not None:
            self._document.lines[""] = root.start_mark.line + 1
            self._document.value = self._value(root, "", 0)
        return self._document

    def _value(self, node: Node, pointer: str, depth: int) -> Any:
        line = node.start_mark.line + 1
        if depth > MOST_LEVELS:
            raise YamlRefused("This holds itself, through an alias.", line)
        self._note_repeat(node, line)
        if isinstance(node, ScalarNode):
            return self._scalar(node, pointer)
        if str(node.tag) not in COLLECTIONS:
            raise YamlRefused(f"The tag {node.tag} is not taken here: write plain values.", line)
        if isinstance(node, SequenceNode):
            return [
                self._member(entry, entry, f"{pointer}/{index}", depth)
                for index, entry in enumerate(node.value)
            ]
        return dict(self._members(node, pointer, depth))

    def _note_repeat(self, node: Node, line: int) -> None:
        if id(node) in self._seen:
            self._document.has_aliases = True
            self._repeated += 1
        self._seen.add(id(node))
        if self._repeated > MOST_REPEATED:
            raise YamlRefused(f"Aliases repeat more than {MOST_REPEATED:,} values here.", line)

    def _members(self, node: Node, pointer: str, depth: int) -> Iterator[tuple[str, Any]]:
        """What `<<` takes over first: a mapping's own keys go before it."""
        lines = dict[str, int]()
        for key, value in node.value:
            if str(key.tag) == MERGE:
                yield from self._merged(value, pointer, depth)
        for key, value in node.value:
            if str(key.tag) == MERGE:
                continue
            name, line = self._name(key), key.start_mark.line + 1
            if name in lines:
                raise YamlRefused(f"The key {name!r} is there twice: in line {lines[name]} before.", line)
            lines[name] = line
            yield name, self._member(key, value, pointer + pointer_to([name]), depth)

    def _merged(self, node: Node, pointer: str, depth: int) -> Iterator[tuple[str, Any]]:
        value = self._value(node, pointer, depth + 1)
        for part in reversed(value) if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise YamlRefused("`<<` takes named values, or a list of such.", node.start_mark.line + 1)
            yield from part.items()

    def _member(self, place: Node, value: Node, pointer: str, depth: int) -> Any:
        self._document.lines[pointer] = place.start_mark.line + 1
        return self._value(value, pointer, depth + 1)

    def _name(self, key: Node) -> str:
        if not isinstance(key, ScalarNode):
            raise YamlRefused("A key is one word or text, not a list or an object.", key.start_mark.line + 1)
        if str(key.tag) not in NAMES:
            self._scalar(key, "")  # which says what is wrong with it
        return str(key.value)

    def _scalar(self, node: ScalarNode, pointer: str) -> Any:
        line = node.start_mark.line + 1
        if str(node.tag) in TEXTS:
            return str(node.value)
        try:
            value = self._constructor.construct_object(node)
            if isinstance(value, float) and not math.isfinite(value):
                raise YamlRefused(f"JSON has no number {value}; use null or a text.", line)
            if isinstance(value, float) and abs(value) >= LARGEST_EXACT:
                return number_of(str(node.value))
            if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
                raise YamlRefused("This number has too many digits.", line)
            return to_jsonable_python(value)
        except PydanticSerializationError as error:
            raise YamlRefused("This has no JSON form: write it as plain text.", line) from error
        except (ValueError, OverflowError) as error:
            raise YamlRefused(_sentence(str(error)), line) from error


class PlainRepresenter(RoundTripRepresenter):
    """Says `null` where ruamel would leave the place empty."""


PlainRepresenter.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _writer() -> YAML:
    yaml = YAML()
    yaml.Composer = ShallowComposer
    yaml.Representer = PlainRepresenter
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1_000_000  # a text that was one line stays one
    return yaml


def _dump(value: Any) -> str:
    text = StringIO()
    _writer().dump(value, text)
    return text.getvalue()


def _for_people(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(name): _for_people(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_for_people(member) for member in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> Any:
    """Texts of several lines as such, where YAML can hold them so; what cannot be seen with its code."""
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        return DoubleQuotedScalarString(text)
    return LiteralScalarString(text) if len(lines) > 1 and lines[0].strip() == lines[0] != "" else text


def _change(node: Any, old: Any, new: Any) -> None:
    """Make a commented mapping say `new` where it said `old`."""
    for name in [name for name in old if name not in new]:
        del node[name]
    for name, value in new.items():
        if name in old and old[name] == value and type(old[name]) is type(value):
            continue
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            _change(node[name], old[name], value)
        else:
            node[name] = _for_people(value)


def _sentence(problem: str) -> str:
    """The parser's words as a sentence of one line."""
    line = " ".join((problem or "this cannot be read").split())
    for words, meaning in MEANINGS.items():
        if line.startswith(words):
            return meaning
    return f"{line[:1].upper()}{line[1:].rstrip('.')}."


def _line_in(error: Exception, text: str) -> int:
    """Where a character stands that YAML does not take."""
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 0
