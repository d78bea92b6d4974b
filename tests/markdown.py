"""The code blocks of a page, as its reader would copy them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

HEADING = re.compile(r"## (?P<title>.+)")
FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)$")


@dataclass(frozen=True)
class Block:
    section: str
    """The nearest heading of the second level above it."""
    language: str
    code: str


def blocks_of(page: str) -> list[Block]:
    found, section, lines = [], "", iter(page.splitlines())
    for line in lines:
        if heading := HEADING.fullmatch(line):
            section = heading["title"]
        elif fence := FENCE.fullmatch(line):
            found.append(Block(section, fence["language"], _code(lines, len(fence["indent"]))))
    return found


def _code(lines: Iterator[str], indent: int) -> str:
    """Up to the closing fence, without the blanks by which the whole block is moved in."""
    code = []
    for line in lines:
        if line.strip() == "```":
            return "\n".join([*code, ""])
        code.append(line[indent:] if not line[:indent].strip() else line)
    raise AssertionError("A block does not end.")
