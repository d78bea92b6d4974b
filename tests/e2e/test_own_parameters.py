"""A pipeline's own parameters in a browser: other values bring other steps into the form, and into the run."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Site, Visit
from tests.e2e.test_first_run import wait_for_end
from tests.e2e.test_nested_form import open_form, violations
from tests.e2e.test_sdk import run_script

CODE = '''
from zenweb import pipeline, step


@step
def train(seed: int, rate: float = 0.1, kind: str = "svm") -> float:
    """Train one model."""
    return seed * rate


@step
def report(title: str = "All models") -> str:
    """Write down how they did."""
    return title


@pipeline
def composed(n_models: int = 2, with_report: bool = True, rate: float = 0.1):
    """Train some models.

    Args:
        n_models: How many are trained, each with another seed.
        with_report: Whether one is written in the end.
    """
    for seed in range(n_models):
        train(seed, rate=rate)
    if with_report:
        report()


composed.create_run_template(name="composed", update=True)
'''


def test_other_values_bring_other_steps(site: Site, visit: Visit, tmp_path: Path) -> None:
    run_script(CODE, tmp_path, site)
    page = visit.page
    visit.go("/")
    open_form(page, "composed")
    page.get_by_label("Kind").first.fill("forest")
    page.get_by_label("N models").fill("3")
    page.get_by_label("With report").uncheck()
    # The worker that is asked imports the code first.
    expect(page.locator("#step-train_3")).to_be_visible(timeout=30_000)
    expect(page.locator("#step-report")).to_have_count(0)
    expect(page.get_by_label("Kind").first).to_have_value("forest")
    assert not violations(page)
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_url(re.compile("/runs/"))
    wait_for_end(page)
    expect(page.locator("main")).to_contain_text("train_3")
