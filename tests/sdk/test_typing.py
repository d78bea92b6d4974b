"""mypy and pyright, both strict, accept code in the documented style, and find what is wrong in other code."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.markdown import blocks_of

ROOT = Path(__file__).parents[2]
TYPING = ROOT / "tests" / "typing"
PYRIGHT = ROOT / "node_modules" / "pyright" / "index.js"
Found = set[tuple[str, int]]
"""Files and lines with something wrong."""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules in the documented style: those of the tests, and the samples of the documentation."""
    folder = tmp_path_factory.mktemp("code")
    for module in TYPING.glob("*.py"):
        shutil.copy(module, folder)
    for number, block in enumerate(blocks_of((ROOT / "docs" / "authoring.md").read_text())):
        (folder / f"sample_{number}.py").write_text(block.code)
    return folder


def mypy(code: Path) -> Found:
    (code / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        ROOT / "build" / "mypy-samples",
        "--output",
        "json",
    ]
    told = [json.loads(line) for line in _run([*command, *code.glob("*.py")], code).splitlines()]
    return {(Path(each["file"]).name, each["line"]) for each in told if each["severity"] == "error"}


def pyright(code: Path) -> Found:
    assert PYRIGHT.exists(), "`make static` installs pyright, with all else that package.json names."
    (code / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "reportUnusedVariable": False})
    )
    told = json.loads(
        _run([_node(), PYRIGHT, "-p", code, "--pythonpath", sys.executable, "--outputjson"], code)
    )
    assert told["summary"]["filesAnalyzed"] == len(list(code.glob("*.py")))
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in told["generalDiagnostics"]
        if each["severity"] == "error"
    }


def _node() -> str:
    """Where the machine has none, `make` has put one beside Python."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))
    assert found, "`make static` installs Node."
    return found


def _run(command: list[str | Path], folder: Path) -> str:
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode in {0, 1}, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.parametrize("check", [mypy, pyright])
def test_the_documented_style_is_accepted_and_wrong_code_is_found(
    check: Callable[[Path], Found], code: Path
) -> None:
    lines = (TYPING / "wrong.py").read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if re.search(r"# wrong$", line)}
    assert check(code) == {("wrong.py", number) for number in wrong}
