"""The SDK against the real server, in one process: pipelines are frozen, become templates and runs."""

import logging
import math
import subprocess
import sys
import time
from datetime import date
from typing import Annotated

import pytest

from runs_app.models import PipelineRun, Schedule
from templates_app.models import CodeArchive, PipelineDeployment, RunTemplate
from tests.in_process import LosingAnswers, TimingOut, network
from zenweb import (
    ParameterError,
    connection,
    get_step_context,
    load_artifact,
    log_metadata,
    pipeline,
    save_artifact,
    step,
)
from zenweb.accounts.models import Project
from zenweb.client import Client
from zenweb.config.source import source_root
from zenweb.enums import ExecutionStatus, Role
from zenweb.exceptions import (
    AuthoringError,
    CredentialsNotValid,
    DoesNotExist,
    EntityExists,
    LocalStackRefused,
    ServerUnreachable,
    ValidationFailed,
)
from zenweb.transport import Transport


@step
def train(learning_rate: float, trees: int = 10) -> float:
    print(f"training {trees} trees")  # noqa: T201  # steps print
    return learning_rate


@step
def report(score: float) -> str:
    return f"score {score}"


@step
def fail() -> None:
    raise ValueError("this step fails")


@step
def refuse(learning_rate: float = 7) -> None:
    raise ParameterError("learning_rate", f"{learning_rate} is too large for this data")


@pipeline
def refusing():
    refuse()


heard = []


def hear(error: BaseException) -> None:
    heard.append(f"{get_step_context().step_name}: {error}")


def cheer() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)  # takes longer than no time
    heard.append(f"{get_step_context().step_name} is done")


@step(on_success=cheer, timeout=0.001)  # which means nothing where nobody could end it
def note() -> Annotated[int, "noted"]:
    log_metadata({"loss": math.inf})
    log_metadata({"unit": "m"}, infer_artifact=True)
    log_metadata({"by": "a step"}, run_id_name_or_prefix=get_step_context().pipeline_run.id)
    return 7


@step(retry={"max_retries": 1})
def fail_twice() -> None:
    log_metadata({"attempt": get_step_context().attempt})
    raise ValueError("never mind")


@pipeline(on_failure=hear)
def noting():
    note()
    fail_twice()


@pipeline(run_name="nightly-{time}", tags=["demo"])
def my_pipeline(learning_rate: float = 0.1):
    report(train(learning_rate))


@pipeline
def asking():
    train()


@step
def rates() -> list[float]:
    return [0.1, 0.2, 0.3]


@step
def is_good(scores: list[float]) -> bool:
    return sum(scores) > 1


@step
def praise(scores: list[float]) -> Annotated[str, "praise"]:
    return f"good: {scores}"


@step
def sum_up(scores: list[float], praised: str | None = None) -> Annotated[str, "summary"]:
    return f"{scores}, {praised}"


@pipeline
def mapping():
    found = train.map(learning_rate=rates())
    sum_up(found, praise(found, when=is_good(found)))


@step
def tell() -> list[bool]:
    print("half way")  # noqa: T201  # steps print
    log_metadata({"half": True})
    context, seen, until = get_step_context(), [False, False], time.monotonic() + 30
    while not all(seen) and time.monotonic() < until:
        shown = Client().get_pipeline_run(context.pipeline_run.id).steps["tell"]
        seen = [shown.logs == "half way\n", shown.run_metadata == {"half": True}]
    print("all the way")  # noqa: T201
    return seen


@pipeline
def telling_all():
    tell()


@step
def keep() -> str:
    return save_artifact([1, 2], "numbers").id


@pipeline
def keeping():
    keep()


@step(enable_cache=False)
def start_another() -> str:
    return str(Client().trigger_pipeline(template_id="started").id)


@pipeline
def starting():
    start_another()


@pipeline
def failing():
    fail()


@pytest.fixture(autouse=True)
def connected(stacks, alices_key, tmp_path, monkeypatch):
    """The SDK is signed in as Alice, and the network leads to the server in this process."""
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))
    connection.save(server_url="http://testserver", api_key=alices_key, active_stack="celery")
    monkeypatch.setattr(
        "zenweb.execution.live_report.LOOK", 3600
    )  # another thread sees nothing of this transaction
    monkeypatch.setattr(
        "zenweb.client.shared_transport", lambda c: Transport(c.server_url, c.api_key, network(), c.project)
    )
    # Packing all of this repository for each test would say nothing more.
    monkeypatch.setattr("zenweb.deployment.source_root", lambda p: source_root(p) / "tests" / "pipelines")


def test_what_a_pipeline_needs_is_frozen_with_it():
    needy = my_pipeline.with_options(requirements=["requests", "Pandas == 2.2"])
    needy.create_run_template(name="needy")
    assert PipelineDeployment.objects.get().requirements == ["pandas==2.2", "requests"]
    with pytest.raises(AuthoringError, match="option of an installer"):
        my_pipeline.with_options(requirements=["-e ."]).create_run_template(name="other")
    assert RunTemplate.objects.count() == PipelineDeployment.objects.count() == 1


def test_a_pipeline_becomes_a_template_with_its_schema_and_defaults():
    template = my_pipeline.create_run_template(name="daily")
    assert template == Client().get_run_template(name="daily", hydrate=False)
    assert (template.version, template.is_runnable, template.pipeline.name) == (1, True, "my_pipeline")
    assert template.config_template.steps["train"].parameters == {"learning_rate": 0.1, "trees": 10}
    assert template.config_schema["properties"]["steps"]["properties"]["train"]["title"] == "Train"


def test_registering_identical_code_twice_makes_nothing_new():
    first = my_pipeline.create_run_template(name="daily")
    assert my_pipeline.create_run_template(name="daily", update=True).version == first.version
    assert (CodeArchive.objects.count(), PipelineDeployment.objects.count()) == (1, 1)


def test_what_is_frozen_is_in_the_project_that_the_environment_names(monkeypatch):
    Project.objects.create(name="lab", default_role=Role.EDITOR)
    monkeypatch.setenv("ZENWEB_PROJECT", "lab")
    template = my_pipeline.create_run_template(name="daily")
    assert RunTemplate.objects.get().project.name == "lab"
    assert Client().get_run_template("daily") == template
    my_pipeline.create_run_template(name="daily", update=True)
    monkeypatch.delenv("ZENWEB_PROJECT")
    assert my_pipeline.create_run_template(name="daily") != template


def test_a_name_that_exists_is_refused_unless_a_new_version_is_wanted():
    my_pipeline.create_run_template(name="daily")
    changed = my_pipeline.with_options(parameters={"learning_rate": 0.2})
    with pytest.raises(EntityExists, match="update=True"):
        changed.create_run_template(name="daily")
    assert changed.create_run_template(name="daily", update=True).version == 2


def test_a_local_stack_is_refused_before_anything_is_stored():
    with pytest.raises(LocalStackRefused, match=r"local stack 'default'.*There is: celery"):
        my_pipeline.create_run_template(name="daily", stack="default")
    assert not PipelineDeployment.objects.exists()
    assert not CodeArchive.objects.exists()


def test_a_run_of_a_local_stack_cannot_become_a_template():
    Client().activate_stack("default")
    run = my_pipeline()
    with pytest.raises(ValidationFailed, match="local stack 'default'"):
        Client().create_run_template(name="daily", deployment_id=run.deployment_id)
    assert not RunTemplate.objects.exists()


def test_calling_a_pipeline_on_a_remote_stack_starts_a_run_without_waiting(capsys):
    run = my_pipeline(learning_rate=0.3)
    assert run.status is ExecutionStatus.INITIALIZING
    assert run.name.startswith("nightly-")
    assert PipelineRun.objects.get(pk=run.id).steps.count() == 2
    assert capsys.readouterr().out == f"Run {run.name} on stack celery: {run.url}\n"


def test_a_step_of_a_local_stack_starts_runs_with_its_callers_connection():
    my_pipeline.create_run_template(name="started")
    connection.save_active_stack("default")
    run = starting()
    [child] = run.children
    assert (str(child.id), child.parent) == (run.steps["start_another"].output.load(), run)
    assert child.parent_step_name == "start_another"
    assert PipelineRun.objects.get(pk=child.id).channel == "pipeline"
    assert Client().trigger_pipeline(template_id="started").parent is None  # outside of a step


def test_a_step_of_a_local_stack_saves_beside_its_outputs():
    connection.save_active_stack("default")
    step = keeping().steps["keep"]
    assert load_artifact("numbers") == load_artifact(step.output.load()) == [1, 2]
    assert list(step.outputs) == ["output", "numbers"]


def test_calling_a_pipeline_on_a_local_stack_runs_it_here_and_records_it(capsys):
    Client().activate_stack("default")
    run = my_pipeline(learning_rate=0.3)
    assert (run.status, run.tags) == (ExecutionStatus.COMPLETED, ["demo"])
    assert run.steps["report"].output.load() == "score 0.3"
    assert "training 10 trees" in run.steps["train"].logs
    assert "training 10 trees" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)  # a thread tells
def test_what_a_step_here_prints_and_notes_is_seen_while_it_runs(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "httpx")  # the step asks for its own log, and would see that it does
    monkeypatch.setattr("zenweb.execution.live_report.LOOK", 0.1)
    Client().activate_stack("default")
    run = telling_all()
    assert run.steps["tell"].output.load() == [True, True]
    assert run.steps["tell"].logs == "half way\nall the way\n"
    assert run.steps["tell"].run_metadata == {"half": True}


def test_a_step_that_fails_here_raises_its_own_error_and_is_recorded():
    Client().activate_stack("default")
    with pytest.raises(ValueError, match="this step fails"):
        failing()
    run = Client().list_pipeline_runs()[0]
    assert run.status is ExecutionStatus.FAILED
    assert run.steps["fail"].exception["type"] == "ValueError"


def test_a_step_that_blames_a_value_is_recorded_with_its_parameter():
    Client().activate_stack("default")
    with pytest.raises(ParameterError, match=r"learning_rate: 7\.0 is too large"):
        refusing()
    exception = Client().list_pipeline_runs()[0].steps["refuse"].exception
    assert (exception["type"], exception["parameter"]) == ("ParameterError", "learning_rate")


def test_metadata_and_hooks_of_steps_that_run_here(caplog):
    Client().activate_stack("default")
    heard.clear()
    with pytest.raises(ValueError, match="never mind"):
        noting()
    run = Client().list_pipeline_runs()[0]
    assert run.steps["note"].run_metadata == {"loss": math.inf}
    assert run.steps["note"].output.run_metadata["unit"] == "m"
    assert run.steps["fail_twice"].run_metadata == {"attempt": 2}
    assert run.run_metadata == {"by": "a step"}
    assert heard == ["note is done", "fail_twice: never mind"]
    assert "was given up" not in caplog.text


def test_metadata_from_outside_of_a_step():
    Client().activate_stack("default")
    run = my_pipeline()
    log_metadata({"reviewed": True}, run_id_name_or_prefix=run.name)
    log_metadata({"loss": math.nan}, run_id_name_or_prefix=run.id, step_name="train")
    log_metadata({"when": date(2024, 2, 29)}, step_id=run.steps["train"].id)
    log_metadata({"unit": "m"}, artifact_version_id=run.steps["train"].output.id)
    log_metadata({"unit": "km"}, artifact_name="my_pipeline::train::output", artifact_version=1)
    assert run.refresh().run_metadata == {"reviewed": True}
    trained = run.steps["train"].run_metadata
    assert (math.isnan(trained["loss"]), trained["when"]) == (True, date(2024, 2, 29))
    assert run.steps["train"].output.run_metadata["unit"] == "km"
    with pytest.raises(DoesNotExist, match=r"no step 'trian'\. There is: train, report"):
        log_metadata({"a": 1}, run_id_name_or_prefix=run.id, step_name="trian")


def test_required_parameters_are_asked_for_when_it_is_run():
    asking.create_run_template(name="asking")
    with pytest.raises(ValidationFailed) as refused:
        Client().trigger_pipeline("asking")
    assert [error.pointer for error in refused.value.errors] == ["/steps/train/parameters/learning_rate"]
    configuration = {"steps": {"train": {"parameters": {"learning_rate": 0.5}}}}
    assert (
        Client().trigger_pipeline(template_id="asking", run_configuration=configuration).template_id
        is not None
    )


def test_a_template_runs_itself_and_is_run_many_times_with_a_word_on_each(monkeypatch):
    template = my_pipeline.create_run_template(name="daily")
    values = [{"steps": {"train": {"parameters": {"learning_rate": rate}}}} for rate in (0.1, "much", 0.3)]
    run = template.run(values[0], idempotency_key="once")
    assert template.run(values[0], idempotency_key="once") == run
    losing_answers(monkeypatch, 1)
    first, refused, third = Client().trigger_many("daily", values)
    assert refused.errors[0].pointer == "/steps/train/parameters/learning_rate"
    assert {run.id, first.id, third.id} == set(PipelineRun.objects.values_list("id", flat=True))
    assert first.steps["train"].config["parameters"]["learning_rate"] == 0.1
    assert run.logs == "--- train\n--- report\n"


def losing_answers(monkeypatch, times):
    losing = LosingAnswers(times)
    monkeypatch.setattr(
        "zenweb.client.shared_transport", lambda c: Transport(c.server_url, c.api_key, losing)
    )
    monkeypatch.setattr("time.sleep", lambda _: None)
    return losing


def test_a_run_whose_answer_is_lost_is_started_once(monkeypatch):
    my_pipeline.create_run_template(name="daily")
    losing = losing_answers(monkeypatch, 2)
    run = Client().trigger_pipeline(template_id="daily")
    assert (PipelineRun.objects.get().id, len(losing.requests)) == (run.id, 3)


def test_what_a_client_changes_is_done_once_though_its_answers_are_lost(monkeypatch):
    my_pipeline.create_run_template(name="daily")
    for times in (1, 2):
        losing = losing_answers(monkeypatch, times)
        made = Client().create_schedule(f"nightly {times}", "daily", "0 3 * * *")
        assert len(losing.requests) > times
        losing_answers(monkeypatch, times)
        assert Client().update_schedule(made.name, name="hourly").id == made.id
        losing_answers(monkeypatch, times)
        Client().delete_schedule("hourly")
    assert not Schedule.objects.exists()


def test_a_repair_whose_answer_is_lost_is_started_once(monkeypatch):
    original = my_pipeline()
    original.stop()
    losing_answers(monkeypatch, 1)
    repaired = Client().repair_run(original.id)
    assert set(PipelineRun.objects.values_list("id", flat=True)) == {original.id, repaired.id}


def test_runs_that_were_started_are_not_lost_when_a_later_request_is(monkeypatch):
    my_pipeline.create_run_template(name="daily")
    monkeypatch.setattr("zenweb.responses.launching.MOST_AT_ONCE", 1)
    client = Client(Transport("http://testserver", connection.load().api_key, TimingOut({1})))
    first, lost, third = client.trigger_many("daily", [{}] * 3, idempotency_key="night")
    assert isinstance(lost, ServerUnreachable)
    assert PipelineRun.objects.count() == 3
    [again] = Client().trigger_many("daily", [{}], idempotency_key=lost.idempotency_key)
    whole = Client().trigger_many("daily", [{}] * 3, idempotency_key="night")
    assert whole == [first, again, third]
    assert PipelineRun.objects.count() == 3


def test_two_calls_start_two_runs_unless_they_carry_one_key():
    my_pipeline.create_run_template(name="daily")
    free = {Client().trigger_pipeline(template_id="daily").id for _ in range(2)}
    bound = {Client().trigger_pipeline(template_id="daily", idempotency_key="today").id for _ in range(2)}
    assert (len(free), len(bound), PipelineRun.objects.count()) == (2, 1, 3)


def test_a_template_whose_answer_is_lost_is_made_once(monkeypatch):
    my_pipeline()
    deployment = PipelineDeployment.objects.get().id
    losing = losing_answers(monkeypatch, 1)
    made = Client().create_run_template("daily", deployment)
    assert (RunTemplate.objects.get().id, made.version, len(losing.requests)) == (made.id, 1, 2)


def test_templates_are_listed_changed_and_deleted():
    my_pipeline.create_run_template(name="daily", description="Every day", tags=["a", "b"])
    changed = Client().update_run_template("daily", name="weekly", add_tags=["c"], remove_tags=["a"])
    assert (changed.name, changed.description, sorted(changed.tags)) == ("weekly", "Every day", ["b", "c"])
    assert [template.name for template in Client().list_run_templates()] == ["weekly"]
    Client().delete_run_template(changed.id)
    assert len(Client().list_run_templates()) == 0


def test_a_template_is_scheduled_paused_and_left_behind():
    my_pipeline.create_run_template(name="daily")
    made = Client().create_schedule("early", "daily", "0 5 * * *", run_configuration={"tags": ["early"]})
    assert (made.cron, made.zone, made.is_paused, made.template.name) == ("0 5 * * *", "UTC", False, "daily")
    assert [moment.hour for moment in made.next_times] == [5] * 5
    assert Client().update_schedule("early", paused=True, run_configuration={}).next_times == []
    Client().delete_run_template("daily")
    left = Client().get_schedule(str(made.id)[:8])
    assert (left.config, left.template, left.last_fired, left.last_run_id) == ({}, None, None, None)
    Client().delete_schedule(made.id)
    assert len(Client().list_schedules()) == 0


def test_a_wrong_key_is_told():
    connection.save(api_key="wrong")
    with pytest.raises(CredentialsNotValid):
        Client().list_stacks()


def test_mapped_steps_and_conditions_run_in_the_process_that_calls():
    Client().activate_stack("default")
    run = mapping()
    assert run.status == ExecutionStatus.COMPLETED
    assert load_artifact("summary") == "[0.1, 0.2, 0.3], None"
    assert run.steps["train-2"].status == ExecutionStatus.COMPLETED
    assert run.steps["praise"].status == ExecutionStatus.STOPPED
