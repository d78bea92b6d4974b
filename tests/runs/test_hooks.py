"""Hooks run in the step's process when its outcome is known, and never change it."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from runs_app.models import ArtifactVersion, PipelineRun, StepAttempt, StepRun
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import freeze, launch, make_template
from tests.runs.test_worker import finished
from zenweb.accounts.models import User
from zenweb.enums import ExecutionStatus

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hooked(stacks: dict[str, Stack], alice: User) -> RunTemplate:
    return make_template(freeze("noting.hooked_pipeline", alice, stacks["celery"]), alice, "hooked")


def run(
    template: RunTemplate,
    user: User,
    worker: StepWorker,
    folder: Path,
    how: dict[str, str] | None = None,
    steps: dict[str, Any] | None = None,
    **configuration: Any,
) -> PipelineRun:
    """All steps with this folder, each ending as it is told, with more of a configuration for some of them."""
    sections = {
        name: {
            **(steps or {}).get(name, {}),
            "parameters": {"folder": str(folder), "how": (how or {}).get(name, "well")},
        }
        for name in ("hooked", "plain", "named")
    }
    started = launch(template, user, {**configuration, "steps": sections})
    worker.run_ready_steps("default")
    return finished(started)


def said(folder: Path) -> list[str]:
    path = folder / "hooks"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def log_of(run: PipelineRun, step: str) -> str:
    return StepAttempt.objects.filter(step__run=run, step__name=step).order_by("-number")[0].log_tail


def test_a_success_hook_runs_where_there_is_one(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    assert run(hooked, alice, worker, tmp_path).status == ExecutionStatus.COMPLETED
    assert said(tmp_path) == ["success of hooked attempt 1", "success of named attempt 1"]
    assert ArtifactVersion.objects.get(artifact__name="n").metadata["from"] == "hook"


def test_a_failure_hook_gets_the_exception_of_the_last_attempt_only(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    ended = run(hooked, alice, worker, tmp_path, {"hooked": "fail"})
    assert said(tmp_path) == ["failure ValueError: no luck of hooked attempt 2", "success of named attempt 1"]
    step = StepRun.objects.get(run=ended, name="hooked")
    assert (step.status, step.exception["message"]) == ("failed", "no luck")
    assert step.metadata == {"failure": "no luck"}


def test_a_failure_that_is_tried_again_calls_no_failure_hook(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run(hooked, alice, worker, tmp_path, {"hooked": "fail once"})
    assert said(tmp_path) == ["success of hooked attempt 2", "success of named attempt 1"]


def test_a_pipelines_hook_is_for_steps_that_have_none_of_their_own(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    run(hooked, alice, worker, tmp_path, {"hooked": "fail", "plain": "fail"})
    assert "pipeline's failure of plain attempt 1" in said(tmp_path)
    assert "pipeline's failure of hooked attempt 2" not in said(tmp_path)


@pytest.mark.parametrize(
    ("hook", "line"), [("raises", "RuntimeError: the hook is broken"), ("leaves", "SystemExit: 3")]
)
def test_a_hook_that_raises_is_a_line_in_the_log(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, hook: str, line: str
) -> None:
    source = {"success_hook_source": f"noting.{hook}", "failure_hook_source": f"noting.{hook}"}
    ended = run(hooked, alice, worker, tmp_path, {"named": "fail"}, {"named": source, "plain": source})
    steps = {step.name: step for step in ended.steps.all()}
    assert (steps["plain"].status, steps["named"].status) == ("completed", "failed")
    assert steps["named"].exception["message"] == "no luck"
    for name in ("plain", "named"):
        assert f"The hook {hook} failed." in log_of(ended, name)
        assert line in log_of(ended, name)


@pytest.mark.parametrize(("how", "status"), [("well", "completed"), ("fail", "failed")])
def test_a_hook_that_hangs_is_given_up_before_the_steps_time_is_up(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, how: str, status: str
) -> None:
    hangs = {"success_hook_source": "noting.hangs", "failure_hook_source": "noting.hangs", "timeout": 3}
    ended = run(hooked, alice, worker, tmp_path, {"plain": how}, {"plain": hangs})
    step = StepRun.objects.get(run=ended, name="plain")
    assert "hanging of plain attempt 1" in said(tmp_path)
    assert (step.status, (step.exception or {}).get("type")) == (
        status,
        "ValueError" if how == "fail" else None,
    )
    assert "The hook hangs was given up" in log_of(ended, "plain")


def test_a_run_configuration_names_hooks_as_text_or_as_zenml_does(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path, rest: Client
) -> None:
    zenml = {"module": "noting", "attribute": "on_failure", "type": "user"}
    ended = run(
        *(hooked, alice, worker, tmp_path, {"plain": "fail"}),
        steps={"plain": {"failure_hook_source": zenml}},
        success_hook_source="noting.on_success",
    )
    assert "failure ValueError: no luck of plain attempt 1" in said(tmp_path)
    assert ended.warnings == []
    told = rest.get(f"/api/v1/runs/{ended.id}").json()["metadata"]["config"]
    assert told["success_hook_source"] == {"module": "noting", "attribute": "on_success", "type": "unknown"}
    step = StepRun.objects.get(run=ended, name="plain")
    told = rest.get(f"/api/v1/steps/{step.id}").json()["metadata"]["config"]
    assert told["failure_hook_source"] == zenml | {"type": "unknown"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("on_failure", "This names no hook: name it as 'module.function'"),
        ("noting.on failure", "This names no hook"),
        ({"module": "noting"}, "This names no hook"),
        (3, "or empty"),
        ("notin.on_failure", "no module 'notin' in the pipeline's code. Did you mean 'noting'?"),
        ("os.abort", "There is no module 'os' in the pipeline's code."),
    ],
)
def test_a_hook_that_cannot_be_named_is_refused(
    hooked: RunTemplate, rest: Client, source: Any, sentence: str
) -> None:
    steps = {"plain": {"parameters": {"folder": "/"}, "failure_hook_source": source}}
    steps |= {name: {"parameters": {"folder": "/"}} for name in ("hooked", "named")}
    answer = rest.post("/api/v1/run_templates/hooked/runs", {"steps": steps}, content_type="application/json")
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/steps/plain/failure_hook_source"
    assert sentence in error["message"]
    assert not PipelineRun.objects.exists()


def test_a_hook_that_does_not_exist_fails_the_step_before_it_begins(
    hooked: RunTemplate, alice: User, worker: StepWorker, tmp_path: Path
) -> None:
    ended = run(hooked, alice, worker, tmp_path, steps={"plain": {"success_hook_source": "noting.on_succes"}})
    [reason] = StepRun.objects.filter(run=ended, name="plain").values_list("status_reason", flat=True)
    assert "There is no 'on_succes' in noting. Did you mean 'on_success'?" in reason
