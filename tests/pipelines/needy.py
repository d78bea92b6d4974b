"""Steps that need a package which no index has: the tests build it."""

import importlib
import os
import shutil
import subprocess
import sys
from typing import Annotated

from zenweb import Choices, pipeline, step

REQUIREMENT = "zenweb-tests-tiny"


@step(enable_cache=False, retry={"max_retries": 2})
def looks_around() -> dict[str, str]:
    """What there is where this runs."""
    found = {
        "prefix": sys.prefix,
        "VIRTUAL_ENV": os.environ["VIRTUAL_ENV"],
        "program": shutil.which("tiny-says") or "",
    }
    for module in (
        "zenweb_tests_tiny",
        "django",
        "zenweb.settings",
        "zenweb.api",
        "runs_app",
        "templates_app",
        "numpy",
    ):
        try:
            found[module] = str(getattr(importlib.import_module(module), "VERSION", "is there"))
        except ModuleNotFoundError:
            found[module] = "is not there"
    found["said"] = subprocess.run(["tiny-says"], capture_output=True, text=True, check=True).stdout.strip()
    return found


@step(enable_cache=False)
def stands_alone() -> int:
    return 1


def list_versions() -> list[str]:
    return [importlib.import_module("zenweb_tests_tiny").VERSION]


@step
def chooses(version: Annotated[str, Choices(list_versions)] = "1.0") -> str:
    return version


@pipeline(requirements=[f"{REQUIREMENT}==1.0"])
def choosy_pipeline() -> None:
    chooses()


@pipeline(requirements=[f"{REQUIREMENT}==99"])
def choosing_in_vain_pipeline() -> None:
    chooses()


@pipeline(requirements=[f"{REQUIREMENT}==1.0"])
def needy_pipeline() -> None:
    looks_around()


@pipeline(requirements=[f"{REQUIREMENT}==99"])
def impossible_pipeline() -> None:
    looks_around()
    stands_alone()


@pipeline(requirements=[f"{REQUIREMENT}-slow"])
def slow_pipeline() -> None:
    stands_alone()


@pipeline(requirements=[f"{REQUIREMENT}-slow"])
def slow_twin_pipeline() -> None:
    """Needs the same environment."""
    looks_around()
    stands_alone()
