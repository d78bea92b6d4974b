"""A figure of plotly is drawn in the page, in a frame that can do nothing else."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.test_sdk import run_script

pytest.importorskip("plotly")

SCRIPT = """
from plotly import graph_objects

from zenweb import pipeline, step


@step
def draw() -> graph_objects.Figure:
    figure = graph_objects.Figure(graph_objects.Bar(x=["Basel", "Bern"], y=[3, 4]))
    return figure.update_layout(title="Cities </script><script>alert(1)</script>")


@pipeline(enable_cache=False)
def drawing():
    draw()


drawing()
"""


def test_a_figure_is_drawn(visit: Visit, tmp_path: Path) -> None:
    run_script(SCRIPT, tmp_path, visit.site)
    visit.go("/runs/")
    visit.page.get_by_role("link", name=re.compile("drawing")).first.click()
    frame = visit.page.frame_locator(".result iframe")
    expect(frame.get_by_text("Bern")).to_be_visible()
    expect(frame.get_by_text("Cities")).to_be_visible()
    assert visit.page.locator(".result iframe").get_attribute("sandbox") == "allow-scripts"
