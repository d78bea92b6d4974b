"""What a pipeline's requirements may be."""

from pathlib import Path
from typing import Any

import pytest

from zenweb.config.requirements import checked_requirements, requirements_of
from zenweb.exceptions import AuthoringError


def test_the_same_packages_give_the_same_list() -> None:
    written = ["Pandas == 2.2", "scikit_learn[plots] >=1 ; python_version > '3.9'", "pandas==2.2"]
    assert checked_requirements(written) == ["pandas==2.2", 'scikit-learn[plots]>=1; python_version > "3.9"']


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--index-url https://example.com/simple", "option of an installer"),
        ("-i https://example.com/simple", "option of an installer"),
        ("--extra-index-url=https://example.com", "option of an installer"),
        ("-e .", "option of an installer"),
        ("-r other.txt", "option of an installer"),
        ("pandas==2.2 --hash=sha256:abc", "option of an installer"),
        ("./mine", "is a path"),
        ("../mine", "is a path"),
        ("dist/mine-1.0-py3-none-any.whl", "is a path"),
        ("mine @ file:///tmp/mine.whl", "names an address"),
        ("mine @ https://example.com/mine.whl", "names an address"),
        ("git+https://example.com/mine.git", "names an address"),
        ("zenweb==0.1.0", "every environment holds the ZenWeb of its worker"),
        ("ZenWeb[server]", "every environment holds the ZenWeb of its worker"),
        ("pandas=2.2", "Write it as in 'pandas==2.2'"),
        ("", "cannot be read"),
        ("x" * 1_001, "is longer than 1000 characters"),
        ("pandas\n--index-url https://example.com", "option of an installer"),
    ],
)
def test_what_names_no_package_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(AuthoringError, match=sentence):
        checked_requirements([line])


@pytest.mark.parametrize(
    ("options", "zenmls"),
    [
        ({"requirements": ["b", "a==1"]}, {}),
        ({"requirements": "needs.txt"}, {}),
        ({"requirements": Path("needs.txt")}, {}),
        ({}, {"docker": {"requirements": ["b", "a==1"]}}),
        ({}, {"docker": {"requirements": "needs.txt"}}),
        ({"requirements": ("b",)}, {"docker": {"requirements": ["a==1"]}}),
    ],
)
def test_a_list_and_a_file_and_zenmls_settings_say_the_same(
    options: dict[str, Any], zenmls: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "needs.txt").write_text("# comment\n\nb   # why\na \\\n  ==1\n")
    assert requirements_of(options, zenmls, tmp_path) == ["a==1", "b"]


def test_none_are_none(tmp_path: Path) -> None:
    assert requirements_of({}, {"docker": {"requirements": None}}, tmp_path) == []


@pytest.mark.parametrize("given", ["missing.txt", 3, {"pandas": "2.2"}, ["pandas", 3]])
def test_what_is_neither_list_nor_file_is_refused_with_a_sentence(given: Any, tmp_path: Path) -> None:
    with pytest.raises(AuthoringError, match="requirements"):
        requirements_of({"requirements": given}, {}, tmp_path)


def test_all_together_are_bounded() -> None:
    with pytest.raises(AuthoringError, match="64000 characters together"):
        checked_requirements([f"package-{number}-{'x' * 900}" for number in range(80)])
