"""YAML that people write: what it says, where, within which limits; and what is written for them."""

import random
import re
from contextlib import suppress
from typing import Any

import pytest

from zenweb.config.yaml_text import MOST_REPEATED, YamlRefused, read, rewrite, write

TEXTS = [
    *(
        "NO",
        "null",
        "~",
        "",
        " ",
        "12:30",
        "2026-03-01",
        "1e-5",
        "0x1f",
        "<<",
        "=",
        "# no comment",
        "a: b",
        "- a",
        "%",
    ),
    *(
        "two\nlines",
        "two\nlines\n",
        " led\nby a blank\n\n",
        "\ttab",
        "é ☃ 🎈",
        "\x85",
        "\u2028",
        "\ufeffmark",
        "\x7f",
        '"',
        "'",
    ),
    "long " * 60,
]


def some_value(chance: random.Random, depth: int = 0) -> Any:
    kinds = [
        None,
        True,
        False,
        chance.randint(-(10**20), 10**20),
        chance.uniform(-1, 1) * 10 ** chance.randint(-300, 300),
    ]
    if depth < 4 and chance.random() < 0.6:
        members = [some_value(chance, depth + 1) for _ in range(chance.randint(0, 4))]
        return (
            dict(zip(chance.sample(TEXTS, len(members)), members, strict=True))
            if chance.random() < 0.6
            else members
        )
    return chance.choice([*kinds, chance.choice(TEXTS), chance.choice(TEXTS)])


@pytest.mark.parametrize("seed", range(60))
def test_what_is_written_is_read_as_the_same(seed: int) -> None:
    value = {"given": some_value(random.Random(seed))}
    assert repr(read(write(value)).value) == repr(value)


@pytest.mark.parametrize("seed", range(30))
def test_a_text_is_made_to_say_something_else(seed: int) -> None:
    chance = random.Random(seed)
    text = "# mine\n" + write({"a": some_value(chance), "b": some_value(chance)})
    value = {"b": some_value(chance), "c": some_value(chance)}
    assert repr(read(rewrite(text, value)).value["c"]) == repr(value["c"])
    assert read(rewrite(text, value)).value == value


def test_comments_and_order_outlive_a_change() -> None:
    text = "# mine\nb: 1  # one\na:\n  # inside\n  x: 1\n"
    assert rewrite(text, {"a": {"x": 2}, "b": 1}) == text.replace("x: 1", "x: 2")


def test_aliases_and_merges_say_what_they_mean() -> None:
    document = read("base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}\nboth: [*base, *base]\n")
    assert document.value["own"] == {"a": 1, "b": 3}
    assert document.value["both"] == [{"a": 1, "b": 2}] * 2


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 2),
        ("/a", 2),
        ("/a/b", 3),
        ("/a/b/1", 5),
        ("/a/x~1y", 6),
        ("/a/missing/deeper", 2),
        ("/nothing", 2),
    ],
)
def test_every_place_has_its_line(pointer: str, line: int) -> None:
    assert read("# first\na:\n  b:\n    - 1\n    - 2\n  x/y: 3\n").line_of(pointer) == line


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a: 1\nb: c: d\n", 2, "A `:` does not fit here"),
        ("a:\n  b: 1\n c: 2\n", 3, "The indentation does not fit"),
        ("a: 'b\n", 2, "A quote is opened and not closed."),
        ("a: 1\n---\nb: 2\n", 2, "There is a second document here"),
        ("a: 1\n\x01", 2, "not YAML"),
        ("a: 1\n? [b]\n: c\n", 2, "A key is one word or text"),
        ("a: !!set {b}\n", 1, "is not taken here"),
        ("a: 1\nb: .inf\n", 2, "JSON has no number inf"),
        ("a: 1\nb: *c\n", 2, "undefined alias"),
        (f"a: 0x{'f' * 5000}\n", 1, "too many digits"),
        ("a: 1\n<<: b\n", 2, "`<<` takes named values"),
        ("a: " + "[" * 101, 1, "more than 100 levels deep"),
        (
            f"a: &a [{'x, ' * 200}x]\nb: [{', '.join(['*a'] * 200)}]\n",
            1,
            f"more than {MOST_REPEATED:,} values",
        ),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, line: int, sentence: str) -> None:
    with pytest.raises(YamlRefused, match=re.escape(sentence)) as refused:
        read(text)
    assert refused.value.line == line


def test_what_is_deep_but_not_too_deep_is_read() -> None:
    assert repr(read("a: " + "[" * 99 + "]" * 99).value).count("[") == 99


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_broken_is_read_or_refused(seed: int) -> None:
    """Texts with pieces cut out, doubled and swapped: nothing else is raised, and no warning given."""
    chance = random.Random(seed)
    whole = "a: &x {b: [1, 'c', \"d\\n\"], ? e : !!str f}\ng: |\n  h\n *i : >-\n  j\n<<: *x\n# k\n%YAML 1.2\n---\n"
    for _ in range(20):
        start, end = sorted(chance.sample(range(len(whole)), 2))
        piece = whole[start:end]
        with suppress(YamlRefused):
            read(chance.choice([piece, whole[:start] + whole[end:], whole[:end] + piece * 2 + whole[end:]]))


@pytest.mark.parametrize("text", ["2024-01-01 10:00:00", "2024-02-30", "2024-01-01", "12:30", "="])
def test_what_json_has_no_type_for_is_text_as_it_was_written(text: str) -> None:
    assert read(f"value: {text}").value == {"value": text}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9007199254740993.0", 9007199254740993),
        ("-9007199254740993.", -9007199254740993),
        ("9007199254740992.0", 9007199254740992.0),
        ("9007199254740993.5", 9007199254740994.0),
        ("1e+30", 1e30),
        ("1.0", 1.0),
    ],
)
def test_a_whole_number_keeps_the_digits_that_a_float_would_lose(text: str, number: float) -> None:
    value = read(f"a: {text}").value["a"]
    assert (value, type(value)) == (number, type(number))
