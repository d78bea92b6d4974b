"""Decorating is light: what a pipeline's module imports must not cost seconds."""

import subprocess
import sys

HEAVY = ("django", "celery", "pandas", "pydantic", "httpx", "ruamel.yaml", "click", "rest_framework")


def test_the_decorators_load_nothing_heavy(pytestconfig):
    code = "import sys; from zenweb import pipeline, step; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(
        command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)
