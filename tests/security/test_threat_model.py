"""docs/security.md names a test beside each promise: it is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
PROMISES = [
    line
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith(("| promise", "| |", "| **"))
]


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(TEXT))))
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_promise_has_one() -> None:
    assert len(PROMISES) > 30
    assert [promise for promise in PROMISES if not NAMED.search(promise)] == []


def test_whatever_the_security_rules_are_told_to_overlook_has_a_reason() -> None:
    marks = [
        f"{path.name}: {mark}"
        for folder in ("zenweb", "runs_app", "templates_app", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for mark in re.findall(r"# noqa: S\d.*", path.read_text())
    ]
    assert len(marks) > 5
    assert [mark for mark in marks if not re.search(r"S\d+ .*\w+ \w+", mark)] == []
