"""The packages that a pipeline needs beside ZenWeb: read where it is frozen, checked there and by the server."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from zenweb.exceptions import AuthoringError

MOST_REQUIREMENTS = 1_000
LONGEST = 1_000  # characters
LONGEST_TOGETHER = 64_000  # characters; they are one argument of the program that installs them
# pip's own rule: a comment starts a line, or follows a blank.
COMMENT = re.compile(r"(^|\s+)#.*$")
OPTION = re.compile(r"(^|\s)--?[A-Za-z]")


def requirements_of(options: Mapping[str, Any], settings: Mapping[str, Any], root: Path) -> list[str]:
    """What `requirements=` and ZenML's `settings={"docker": {"requirements": ...}}` name, checked and sorted.

    Either is a list, or the path of a requirements file, seen from `root`, the folder of the pipeline's code.
    """
    docker = settings.get("docker") or {}
    said = [options.get("requirements"), docker.get("requirements") if isinstance(docker, Mapping) else None]
    return checked_requirements(line for given in said if given is not None for line in _lines(given, root))


def missing_here(requirements: Iterable[str]) -> list[str]:
    """Those that this Python does not meet, each with what it has instead."""
    return [told for line in requirements if (told := _missing(Requirement(line)))]


def _missing(requirement: Requirement) -> str:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        there = version(requirement.name)
    except PackageNotFoundError:
        return str(requirement)
    if requirement.specifier.contains(there, prereleases=True):
        return ""
    return f"{requirement} (there is {there})"


def checked_requirements(lines: Iterable[str]) -> list[str]:
    """In one spelling, sorted, none twice: the same packages give the same list."""
    checked = {checked_requirement(line) for line in lines}
    if len(checked) > MOST_REQUIREMENTS:
        raise AuthoringError(f"A pipeline may name {MOST_REQUIREMENTS} requirements, not {len(checked)}.")
    if sum(map(len, checked)) > LONGEST_TOGETHER:
        raise AuthoringError(
            f"The requirements of a pipeline may have {LONGEST_TOGETHER} characters together."
        )
    return sorted(checked)


def checked_requirement(line: str) -> str:
    """One requirement in its normal spelling. Raises AuthoringError for all that is no name with versions."""
    text = line.strip()
    if len(text) > LONGEST:
        raise AuthoringError(f"The requirement {text[:50]!r}… is longer than {LONGEST} characters.")
    if OPTION.search(text):
        raise AuthoringError(
            f"The requirement {text!r} holds an option of an installer. Name packages and versions only, as in "
            "'pandas==2.2': from which index packages come is decided where workers are set up."
        )
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise AuthoringError(_not_understood(text, error)) from error
    if requirement.url is not None:
        raise AuthoringError(_names_an_address(text))
    if canonicalize_name(requirement.name) == "zenweb":
        raise AuthoringError(
            f"The requirement {text!r} is not needed: every environment holds the ZenWeb of its worker."
        )
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement)


def _names_an_address(text: str) -> str:
    return (
        f"The requirement {text!r} names an address. Name a package and its version, as in 'pandas==2.2'; one that "
        "is on no index belongs into the pipeline's own folder, or on the index that workers use."
    )


def _not_understood(text: str, error: InvalidRequirement) -> str:
    reason = str(error).partition("\n")[0].rstrip(".")
    if "://" in text:
        return _names_an_address(text)
    if text.startswith((".", "/", "~")) or "/" in text or "\\" in text or text.endswith((".whl", ".tar.gz")):
        return (
            f"The requirement {text!r} is a path. Workers have no file of yours but the pipeline's own folder: put "
            "the code there, and name packages and versions only."
        )
    return (
        f"The requirement {text!r} cannot be read: {reason}. Write it as in 'pandas==2.2' or 'pandas>=2,<3'."
    )


def _lines(given: Any, root: Path) -> list[str]:
    if isinstance(given, str | PathLike):
        return _lines_of_file(root / given)
    if isinstance(given, Iterable) and not isinstance(given, Mapping | bytes):
        lines = list(given)
        if all(isinstance(line, str) for line in lines):
            return lines
    raise AuthoringError(
        f"requirements are a list of texts, as in ['pandas==2.2'], or the path of a requirements file, not {given!r}."
    )


def _lines_of_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthoringError(
            f"The requirements file {path} cannot be read: {error}. Its path is seen from the folder of the "
            "pipeline's code; a single package is given as a list: ['pandas']."
        ) from error
    whole = re.sub(r"\\\r?\n", " ", text)
    lines = (COMMENT.sub("", line).strip() for line in whole.splitlines())
    return [line for line in lines if line]
