"""The page of a run: what it says, how it follows the run, and what it shows of the results."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runs_app import recording
from runs_app.models import ArtifactVersion, PipelineRun, RunEvent, StepAttempt, StepOutput, StepRun, Worker
from runs_app.plans import plan_of, rules_by_id
from runs_app.recording import StepOutcome
from runs_app.waiting import PATIENCE
from templates_app.models import RunTemplate
from tests.factories import launch
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus
from zenweb.execution.protocol import StepException, StoredArtifact

HTMX = {"HX-Request": "true"}


@pytest.fixture
def pages(client: Client, bob: User) -> Client:
    client.force_login(bob)
    return client


@pytest.fixture
def run(template: RunTemplate, bob: User) -> PipelineRun:
    return launch(template, bob)


@pytest.fixture
def attempt(run: PipelineRun) -> StepAttempt:
    """The first step's, as a worker has just started it."""
    worker = Worker.objects.create(name="w1", hostname="h", pid=1, queues=["default"], slots=1)
    attempt = recording.claim_ready_step(worker, "default")
    assert attempt is not None
    return attempt


def page_of(pages: Client, run: PipelineRun) -> str:
    return pages.get(run.get_absolute_url()).text


def complete(attempt: StepAttempt, kind: str, file: str, data: bytes, place: str = "") -> ArtifactVersion:
    """End the attempt with one output that has this preview, and give the output back."""
    uri = place or f"{attempt.artifact_uri}/score"
    folder = Path(uri)
    folder.mkdir(parents=True, exist_ok=True)
    if Path(file).suffix:
        (folder / file).write_bytes(data)
    stored = StoredArtifact(
        uri=uri, materializer="m", data_type="d", type="DataArtifact", preview={"kind": kind, "file": file}
    )
    recording.record_end(attempt, StepOutcome(outputs={"score": stored}))
    return ArtifactVersion.objects.get()


def preview_of(pages: Client, version: ArtifactVersion) -> Any:
    return pages.get(reverse("artifact-preview", args=[version.id]))


def test_a_new_run_says_who_asked_for_what(pages: Client, run: PipelineRun) -> None:
    page = page_of(pages, run)
    assert "Waiting" in page
    assert "bob through REST" in page
    assert re.search(r"Learning rate</dt><dd[^>]*>0.1<", page)


def test_the_page_refreshes_itself_until_the_run_has_ended(pages: Client, run: PipelineRun) -> None:
    part = pages.get(run.get_absolute_url(), headers=HTMX)
    assert (part.status_code, "every 700ms" in part.text, "<html" in part.text) == (200, True, False)
    PipelineRun.objects.update(status=ExecutionStatus.COMPLETED)
    part = pages.get(run.get_absolute_url(), headers=HTMX)
    assert (part.status_code, "every 700ms" in part.text) == (286, False)


def test_a_running_step_shows_what_it_prints(pages: Client, run: PipelineRun, attempt: StepAttempt) -> None:
    recording.append_log(attempt, "epoch 1\n")
    recording.append_log(attempt, "epoch <2>\n")
    assert "epoch 1\nepoch &lt;2&gt;\n" in page_of(pages, run)


def test_a_failed_step_tells_its_exception_with_the_traceback_folded(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    exception = StepException(type="ValueError", message="no data", traceback="Traceback: line 5")
    recording.record_end(attempt, StepOutcome(exception=exception))
    page = page_of(pages, run)
    assert "<strong>ValueError</strong>: no data" in page
    assert re.search(r"<details[^>]*><summary>[^<]*traceback[^<]*</summary><pre[^>]*>Traceback: line 5", page)
    assert "It was not started, because step trainer did not complete." in page


def test_metrics_are_a_small_table(pages: Client, run: PipelineRun, attempt: StepAttempt) -> None:
    complete(attempt, "json", "preview.json", b'{"accuracy": 0.91234567, "beats_baseline": true}')
    page = page_of(pages, run)
    assert '<th scope="row">Accuracy</th><td>0.912346</td>' in page
    assert '<th scope="row">Beats baseline</th><td>yes</td>' in page


def test_a_table_shows_its_head_and_says_how_much_there_is(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    table = {"columns": ["city", "n"], "rows": [["<b>Bern", 3]], "total_rows": 900, "total_columns": 2}
    complete(attempt, "table", "preview.json", json.dumps(table).encode())
    page = page_of(pages, run)
    assert '<td>&lt;b&gt;Bern</td><td class="number">3</td>' in page
    assert "The first 1 of 900 rows" in page


@pytest.mark.parametrize(
    ("rows", "total_rows", "total_columns", "note"),
    [([], 0, 2, "0 rows"), ([[1, 2]], 1, 3000, "The first 2 of 3000 columns"), ([[1, 2]], 1, 2, None)],
)
def test_a_table_without_rows_or_with_more_columns_says_so(
    pages: Client,
    run: PipelineRun,
    attempt: StepAttempt,
    rows: list[Any],
    total_rows: int,
    total_columns: int,
    note: str | None,
) -> None:
    totals = {"total_rows": total_rows, "total_columns": total_columns}
    complete(
        attempt, "table", "preview.json", json.dumps({"columns": ["a", "b"], "rows": rows, **totals}).encode()
    )
    notes = re.findall(r'<p class="soft result-note">([^<]*)</p>', page_of(pages, run))
    assert notes == ([note] if note else [])


@pytest.mark.parametrize(
    ("kind", "file", "content_type"),
    [
        ("image", "plot.png", "image/png"),
        ("image", "plot.svg", "text/plain; charset=utf-8"),
        ("html", "report.html", "text/html; charset=utf-8"),
        ("json", "data.json", "text/plain; charset=utf-8"),
    ],
)
def test_previews_are_served_inert(
    pages: Client, attempt: StepAttempt, kind: str, file: str, content_type: str
) -> None:
    answer = preview_of(pages, complete(attempt, kind, file, b"<script>"))
    assert (answer.status_code, answer["Content-Type"]) == (200, content_type)
    assert answer.content.endswith(b"<script>")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"


def test_user_made_html_is_framed_without_rights(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    version = complete(attempt, "html", "report.html", b"<script>")
    frame = f'<iframe src="{reverse("artifact-preview", args=[version.id])}" sandbox title="Score">'
    assert frame in page_of(pages, run)


def test_a_figure_is_data_to_a_page_that_runs_no_scripts_but_ours(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    figure = b'{"data": [], "layout": {"title": "</script><script>alert(1)</script>"}}'
    version = complete(attempt, "figure", "data.json", figure)
    address = reverse("artifact-preview", args=[version.id])
    assert f'<iframe src="{address}" sandbox="allow-scripts" title="Score"' in page_of(pages, run)
    answer = preview_of(pages, version)
    policy = dict(rule.partition(" ")[::2] for rule in answer["Content-Security-Policy"].split("; "))
    assert policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == "'none'"
    scripts = policy["script-src"].split()
    assert [script.startswith("http://testserver/static/zenweb/") for script in scripts] == [True, True]
    assert answer.text.count("<script") == 3
    written = re.search('id="data">(.*)</script></body>', answer.text)
    assert written
    assert json.loads(written[1]) == json.loads(figure)


@pytest.mark.parametrize(
    ("page", "start", "is_styled"),
    [
        (
            b"<!doctype html><html><head><title>R</title></head><body>fine",
            b"<!doctype html><html><head><style>",
            True,
        ),
        (b"<h1>Report</h1>", b"<style>", True),
        (b"<p style='background: #eee'>", b"<p", False),
        (b"<style>td { border: 0 }</style>", b"<style>td", False),
    ],
)
def test_a_page_without_looks_of_its_own_is_given_some(
    pages: Client, attempt: StepAttempt, page: bytes, start: bytes, is_styled: bool
) -> None:
    shown = preview_of(pages, complete(attempt, "html", "report.html", page)).content
    assert shown.startswith(start)
    assert (b"prefers-color-scheme: dark" in shown) is is_styled
    assert shown.endswith(page[-10:])


def test_a_long_history_is_folded_but_for_its_last_lines(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    for number in range(20):
        RunEvent.objects.create(run=run, sentence=f"event {number}")
    open_part, _, folded = page_of(pages, run).partition('id="ledger-earlier"')
    assert "event 19" in open_part
    assert "event 3<" in folded
    assert "event 3<" not in open_part
    assert len(re.findall("<time", open_part.partition('id="ledger"')[2])) == 12


def test_a_result_can_be_downloaded(pages: Client, run: PipelineRun, attempt: StepAttempt) -> None:
    version = complete(attempt, "json", "preview.json", b"1")
    (Path(version.uri) / "data.json").write_text("[1]")
    address = reverse("artifact-file", args=[version.pk])
    assert f'href="{address}" download' in page_of(pages, run)
    answer = pages.get(address)
    assert b"".join(answer.streaming_content) == b"[1]"
    assert answer["Content-Disposition"].endswith('score.json"')


def test_what_lies_with_whoever_called_a_pipeline_is_offered_to_nobody(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    version = complete(attempt, "json", "preview.json", b"1")
    run.stack.artifact_store_uri = ""
    run.stack.save()
    assert " download>" not in page_of(pages, run)
    assert pages.get(reverse("artifact-file", args=[version.pk])).status_code == 404


def test_many_results_are_folded_but_for_the_last(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    version = complete(attempt, "json", "preview.json", b"1")
    for number in range(14):
        StepOutput.objects.create(step=attempt.step, name=f"more_{number}", artifact_version=version)
    open_part, _, folded = page_of(pages, run).partition('id="results-more"')
    assert open_part.count("<article") == 12
    assert "3 more results" in folded


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "..", ".", ""])
def test_a_preview_never_leads_to_another_file(pages: Client, attempt: StepAttempt, file: str) -> None:
    version = complete(attempt, "image", file, b"")
    (Path(version.uri).parent / "secret").write_text("of another output")
    assert preview_of(pages, version).status_code == 404


def test_a_preview_never_leads_out_of_the_artifact_store(
    pages: Client, run: PipelineRun, attempt: StepAttempt, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("key")
    version = complete(attempt, "json", "secret", b'"key"', place=str(tmp_path))
    assert preview_of(pages, version).status_code == 404
    assert "lies outside of the artifact store" in page_of(pages, run)


def test_a_link_in_the_artifact_store_leads_nowhere(
    pages: Client, attempt: StepAttempt, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("key")
    version = complete(attempt, "image", "plot.png", b"")
    Path(version.uri, "plot.png").unlink()
    Path(version.uri, "plot.png").symlink_to(tmp_path / "secret")
    assert preview_of(pages, version).status_code == 404


def test_a_missing_preview_is_said_on_the_page(pages: Client, run: PipelineRun, attempt: StepAttempt) -> None:
    version = complete(attempt, "json", "gone.json", b"1")
    Path(version.uri, "gone.json").unlink()
    assert "There is nothing at" in page_of(pages, run)
    assert preview_of(pages, version).status_code == 404


def test_the_whole_log_is_plain_text(pages: Client, attempt: StepAttempt) -> None:
    recording.append_log(attempt, "<b>line</b>\n")
    answer = pages.get(reverse("step-log", args=[attempt.step_id]))
    assert (answer.content, answer["Content-Type"]) == (b"<b>line</b>\n", "text/plain; charset=utf-8")
    assert answer["Content-Security-Policy"].startswith("sandbox")


def test_stopping_takes_a_post_and_says_who_asked(
    pages: Client, run: PipelineRun, attempt: StepAttempt
) -> None:
    address = reverse("run-stop", args=[run.id])
    assert pages.get(address).status_code == 405
    assert pages.post(address).url == run.get_absolute_url()
    page = page_of(pages, run)
    assert "Stopping…" in page
    assert "bob asked to stop" in page


def test_a_long_run_takes_no_more_queries(
    pages: Client, run: PipelineRun, attempt: StepAttempt, django_assert_max_num_queries: Any
) -> None:
    """Session, user, run, steps, attempts, their workers, outputs, the log, events, the form, roles, children, …"""
    complete(attempt, "json", "preview.json", b"1")
    long_ago = timezone.now() - 2 * PATIENCE  # two of the queries ask for what they wait
    for index in range(2, 12):
        StepRun.objects.create(
            run=run, index=index, name=f"extra_{index}", queue="default", ready_at=long_ago
        )
    with django_assert_max_num_queries(19):
        page_of(pages, run)


@pytest.mark.parametrize("name", ["run", "run-stop", "step-log", "artifact-preview"])
def test_what_does_not_exist_is_not_found(pages: Client, name: str) -> None:
    address = reverse(name, args=["0b5c7a1e-0000-4000-8000-000000000001"])
    assert (pages.post(address) if name == "run-stop" else pages.get(address)).status_code == 404


def test_a_secret_value_is_not_shown(pages: Client, run: PipelineRun) -> None:
    deployment = run.deployment
    trainer = deployment.config_schema["properties"]["steps"]["properties"]["trainer"]
    trainer["properties"]["parameters"]["properties"]["model_type"] |= {"writeOnly": True}
    deployment.save()
    plan_of.cache_clear()
    rules_by_id.cache_clear()  # in the product a deployment never changes
    assert ">svm<" not in page_of(pages, run)
    assert "••••••" in page_of(pages, run)
