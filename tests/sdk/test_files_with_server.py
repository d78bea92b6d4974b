"""Files from the caller's machine to the server and back: `upload_file`, paths among values, runs in this process."""

from pathlib import Path
from typing import Annotated

import pytest

from runs_app.models import ArtifactVersion, PipelineRun
from tests.in_process import network
from zenweb import connection, pipeline, step
from zenweb.artifacts import store
from zenweb.artifacts.utils import load_artifact
from zenweb.client import Client
from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration
from zenweb.config.source import source_root
from zenweb.exceptions import BodyTooLarge, DoesNotExist, ValidationFailed, ZenWebError
from zenweb.execution import local_run
from zenweb.transport import Transport

CSV = b"city,people\nBasel,3\n"


@step
def count(data: Path = Path("printing.py"), more: list[Path] = []) -> Annotated[str, "counted"]:  # noqa: B006
    return f"{data.name}: {len(data.read_bytes())}"


@pipeline
def counting() -> None:
    count()


@pytest.fixture(autouse=True)
def connected(stacks, alices_key, tmp_path, monkeypatch):
    """The SDK is signed in as Alice, and the network leads to the server in this process."""
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))
    connection.save(server_url="http://testserver", api_key=alices_key, active_stack="celery")
    monkeypatch.setattr(
        "zenweb.execution.live_report.LOOK", 3600
    )  # another thread sees nothing of this transaction
    monkeypatch.setattr(
        "zenweb.client.shared_transport", lambda c: Transport(c.server_url, c.api_key, network())
    )
    monkeypatch.setattr("zenweb.deployment.source_root", lambda p: source_root(p) / "tests" / "pipelines")


@pytest.fixture
def orders(tmp_path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(CSV)
    return path


def given(value):
    return {"steps": {"count": {"parameters": {"data": value}}}}


def parameter(run):
    return PipelineRun.objects.get(pk=run.id).parameters["count"]["data"]


def test_a_file_is_uploaded_loaded_and_downloaded(orders, tmp_path):
    version = Client().upload_file(orders, name="Orders.csv")
    assert (version.name, version.version, version.body["file"]["size"]) == (
        "uploads::Orders.csv",
        "1",
        len(CSV),
    )
    assert load_artifact(version.id).read_bytes() == CSV
    Client().download_file(version.id, tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_bytes() == CSV


def test_what_is_not_there_or_too_large_is_told(orders, settings):
    with pytest.raises(ValidationFailed, match=r"no file 'nowhere.csv' here to upload"):
        Client().upload_file("nowhere.csv")
    settings.UPLOAD_LIMIT = 5
    with pytest.raises(BodyTooLarge, match=r"orders.csv is larger than 5 bytes"):
        Client().upload_file(orders)
    with pytest.raises(DoesNotExist):
        Client().download_file("0b0b6f5e-7f8e-4a36-9a44-5c2f6b1f9f10", orders.with_name("x"))
    assert not orders.with_name("x").exists()


def test_a_path_among_the_values_is_uploaded_and_a_text_is_not(orders):
    template = counting.create_run_template(name="counting")
    values = [orders, Client().upload_file(orders), "on/the/worker.csv"]
    shapes = [given(value) for value in values] + [PipelineRunConfiguration(**given(orders))]
    runs = [Client().trigger_pipeline(template_id=template.id, run_configuration=shape) for shape in shapes]
    found = [parameter(run) for run in runs]
    assert found[2] == "on/the/worker.csv"
    names = [
        ArtifactVersion.objects.get(pk=found[index]["artifact_version"]).artifact.name for index in (0, 1, 3)
    ]
    assert names == ["uploads::orders.csv"] * 3
    assert ArtifactVersion.objects.count() == 3


def test_a_path_inside_of_a_list_is_uploaded_and_other_steps_stay_as_they_are(orders):
    template = counting.create_run_template(name="counting")
    configuration = PipelineRunConfiguration(
        run_name="mine", steps={"count": {"parameters": {"more": [orders, "x.csv"]}, "enable_cache": False}}
    )
    run = Client().trigger_pipeline(template_id=template.id, run_configuration=configuration)
    step = PipelineRun.objects.get(pk=run.id).configuration["steps"]["count"]
    assert (run.name, step["enable_cache"], step["parameters"]["more"][1]) == ("mine", False, "x.csv")
    assert ArtifactVersion.objects.get().pk.hex in step["parameters"]["more"][0]["artifact_version"].replace(
        "-", ""
    )
    assert configuration.steps["count"].parameters["more"][0] is orders


def test_a_missing_file_starts_no_run(tmp_path):
    template = counting.create_run_template(name="counting")
    with pytest.raises(ValidationFailed, match="is given as a text"):
        Client().trigger_pipeline(template_id=template.id, run_configuration=given(tmp_path / "none.csv"))
    assert not PipelineRun.objects.exists()


def local(version):
    """The pipeline, with this for the data, in the process that calls it."""
    Client().activate_stack("default")
    run = counting.with_options(steps=given({"artifact_version": str(version.id)})["steps"])()
    return run.steps["count"].outputs["counted"].load()


def test_a_run_in_this_process_reads_the_store_where_it_can(orders, monkeypatch):
    monkeypatch.setattr(Client, "download_file", None)
    assert local(Client().upload_file(orders)) == f"orders.csv: {len(CSV)}"


def test_a_run_in_this_process_fetches_what_it_cannot_see(orders, monkeypatch):
    """As on a laptop, where the server's disk is not."""
    version, seen, fetch, fetched = Client().upload_file(orders), store.exists, Transport.download, []
    monkeypatch.setattr(local_run.store, "exists", lambda uri: uri != version.uri and seen(uri))
    monkeypatch.setattr(
        Transport,
        "download",
        lambda self, path, target: (fetched.append(target.name), fetch(self, path, target)),
    )
    assert local(version) == f"orders.csv: {len(CSV)}"
    assert fetched == ["orders.csv"]


def test_a_file_that_cannot_be_fetched_fails_the_step(orders, monkeypatch):
    version = Client().upload_file(orders)
    store.remove(version.uri)
    with pytest.raises(ZenWebError, match="There is nothing at"):
        local(version)
    assert PipelineRun.objects.get().steps.get().exception["type"] == "DoesNotExist"
