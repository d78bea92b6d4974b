"""The reference of the SDK says what the code says, and leaves no public name without a word."""

import time
from types import SimpleNamespace

import pytest

from runs_app.models import PipelineRun
from runs_app.worker import StepWorker
from tests.in_process import network
from tools.sdk_reference import TARGET, reference, undocumented
from zenweb import connection
from zenweb.transport import Transport


def test_the_reference_is_what_the_docstrings_say_now():
    assert TARGET.read_text(encoding="utf-8") == reference(), "Run: make docs"


def test_every_public_name_has_a_docstring():
    assert undocumented() == []


@pytest.mark.django_db(transaction=True)
def test_its_sample_runs(template, alices_key, own_data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path))
    connection.save(server_url="http://testserver", api_key=alices_key)
    monkeypatch.setattr(
        "zenweb.client.shared_transport", lambda c: Transport(c.server_url, c.api_key, network())
    )
    worker = StepWorker(name="w1", queues=["default"], slots=1)
    worker.start()
    working = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: worker.run_ready_steps("default"))
    monkeypatch.setattr("zenweb.responses.runs.time", working)  # who waits has the worker work meanwhile
    try:
        exec(reference().partition("```python\n")[2].partition("```")[0], {})  # noqa: S102  # our own text
    finally:
        worker.shut_down()
    assert capsys.readouterr().out.startswith("completed \n0.2\n")
    assert PipelineRun.objects.get().parameters["trainer"]["learning_rate"] == 0.1


def test_it_has_what_the_manual_imports():
    text = reference()
    for name in (
        "pipeline",
        "step",
        "load_artifact",
        "Client",
        "PipelineRunConfiguration",
        "UnmaterializedArtifact",
    ):
        assert f"### `{name}`" in text
    assert 'about: Literal["step", "run"]="step"' in text.replace("'", '"')
