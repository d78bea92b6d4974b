"""Templates as files with a real server: exported, deleted, applied and run with the identical code."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Site, Visit
from zenweb.config.template_bundle import read_bundle

CODE = """
from zenweb import pipeline, step

@step
def greet(name: str = "Ada") -> str:
    return f"Hello {name}!"

@pipeline
def promoted_pipeline():
    greet()
"""


def test_a_bundle_makes_the_template_again_and_it_runs(site: Site, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "promoted.py").write_text(CODE)
    environment = os.environ | {
        "ZENWEB_SERVER_URL": site.url,
        "ZENWEB_API_KEY": site.api_key,
        "ZENWEB_CONFIG_DIR": str(tmp_path / "config"),
    }

    def zenweb(*arguments: str) -> str:
        command = [sys.executable, "-m", "zenweb.cli", *arguments]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    create = (
        "pipeline",
        "create-run-template",
        "promoted.promoted_pipeline",
        "--name",
        "promoted",
        "--stack",
        "celery",
    )
    zenweb(*create)
    zenweb("run-template", "export", "promoted", "--output", "t.zip")
    code = read_bundle(tmp_path / "t.zip").code
    (tmp_path / "none").mkdir()
    zenweb("run-template", "apply", "-f", "t.zip", "--set-name", "e2e")
    assert "- promoted   deleted" in zenweb(
        "run-template", "apply", "-f", "none", "--set-name", "e2e", "--prune", "--yes"
    )
    assert "+ promoted   created, version 1" in zenweb(
        "run-template", "apply", "-f", "t.zip", "--set-name", "e2e"
    )
    zenweb("run-template", "export", "promoted", "--output", "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "t.zip").read_bytes()
    assert read_bundle(tmp_path / "again.zip").code == code
    zenweb("run-template", "run", "promoted", "--wait")
    visit.go("/")
    visit.page.get_by_role("link", name="promoted").first.click()
    visit.page.get_by_role("link", name="Shape the form").click()
    assert visit.page.get_by_text("This template is kept in files").is_visible()
