"""What is typed arrives equal in the step, whichever way it goes: through every channel goes one value of every kind.

The step is run in this process with what a worker would be told; how that gets there is the same for all of them.
"""

import json
import math
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from django.test import Client as Browser
from django.utils import timezone
from pydantic import BaseModel, SecretStr, TypeAdapter

from runs_app.assignments import assignment_for
from runs_app.copies import Copies, copies_of
from runs_app.links import link_query
from runs_app.models import PipelineRun, Schedule, StepAttempt
from runs_app.schedules import fire_due_schedules
from runs_app.services import stop_run
from runs_app.worker import StepWorker
from templates_app.models import RunTemplate, Stack
from tests.factories import PIPELINES, freeze, make_template
from tests.in_process import network
from tests.templates.sending import sent
from zenweb import connection
from zenweb.accounts.models import User
from zenweb.cli.main import main
from zenweb.client import Client
from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration
from zenweb.config.yaml_text import write
from zenweb.execution.protocol import Assignment, parse_order, to_line
from zenweb.execution.runner import run_attempt
from zenweb.transport import Transport

API = "/api/v1"
STEP = "keeps"
# As somebody types it who knows YAML; the other values as in JSON.
TYPED_IN_YAML = {
    "tiny": "1e-5",
    "norway": "NO",
    "clock": "12:30",
    "day": "2024-02-29",
    "day_as_text": "2024-02-29",
    "lines": "|\n        one\n\n        two\n",
    "nothing": "~",
    "no_text": "",
    "words": "[a, '', ' b ', 'null', '5']",
}


@pytest.fixture(scope="module")
def faithful() -> Iterator[ModuleType]:
    """The pipeline's module, as a step's process imports it."""
    sys.path.insert(0, str(PIPELINES))
    try:
        import faithful  # noqa: PLC0415  # lies where its code is packed from

        yield faithful
    finally:
        sys.path.remove(str(PIPELINES))


@pytest.fixture
def values(faithful: ModuleType) -> dict[str, Any]:
    return {name: value for name, (_, value) in faithful.KINDS.items()}


@pytest.fixture
def texts(faithful: ModuleType) -> dict[str, str]:
    """Each value as JSON, as somebody types it."""
    return {
        name: TypeAdapter(hint).dump_json(value, by_alias=True).decode()
        for name, (hint, value) in faithful.KINDS.items()
    }


@pytest.fixture
def template(stacks: dict[str, Stack], alice: User, faithful: ModuleType) -> RunTemplate:
    deployment = freeze("faithful.faithful_pipeline", alice, stacks["celery"])
    return make_template(deployment, alice, "faithful")


@pytest.fixture
def sdk(stacks: dict[str, Stack], alices_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("ZENWEB_CONFIG_DIR", str(tmp_path / "config"))
    connection.save(server_url="http://testserver", api_key=alices_key)
    monkeypatch.setattr(
        "zenweb.client.shared_transport", lambda c: Transport(c.server_url, c.api_key, network())
    )
    return Client()


def what_arrives(faithful: ModuleType, artifacts: Path) -> dict[str, Any]:
    """What the step of the newest run is given."""
    step = PipelineRun.objects.latest("created").steps.get()
    attempt = StepAttempt(step=step, number=1, artifact_uri=str(artifacts))
    assignment = parse_order(to_line(assignment_for(attempt)))
    assert isinstance(assignment, Assignment)
    faithful.kept.clear()
    error = run_attempt(getattr(faithful, step.name), assignment, lambda _: None)
    assert error is None, error
    return dict(faithful.kept)


def is_same(arrived: Any, typed: Any) -> bool:
    """Equal and of the same type, all the way down."""
    if type(arrived) is not type(typed) or arrived != typed:
        return False
    match typed:
        case float():
            return math.copysign(1, arrived) == math.copysign(1, typed)
        case Decimal():
            return bool(arrived.as_tuple() == typed.as_tuple())
        case datetime():
            return bool(arrived.utcoffset() == typed.utcoffset())
        case dict():
            return [*arrived] == [*typed] and all(is_same(arrived[key], typed[key]) for key in typed)
        case list() | tuple():
            return all(map(is_same, arrived, typed))
    fields = vars(typed) if is_dataclass(typed) or isinstance(typed, BaseModel) else {}
    return all(is_same(getattr(arrived, name), value) for name, value in fields.items())


def assert_arrived(arrived: dict[str, Any], typed: dict[str, Any]) -> None:
    left_out = {"left_out": 5, "left_out_text": "there", "left_out_none": None}
    wanted = {**typed, **left_out}
    lost = {name: (arrived.get(name, "missing"), value) for name, value in wanted.items()}
    assert {name: pair for name, pair in lost.items() if not is_same(*pair)} == {}


@dataclass
class Channels:
    """Each method starts a run with all the values, in its own way."""

    template: RunTemplate
    values: dict[str, Any]
    texts: dict[str, str]
    client: Client
    rest: Browser
    browser: Browser
    folder: Path

    def sdk_object(self) -> None:
        self._trigger(run_configuration=PipelineRunConfiguration(**self._configuration))

    def sdk_dictionary(self) -> None:
        self._trigger(run_configuration=self._configuration)

    def sdk_config_template(self) -> None:
        config = self.client.get_run_template("faithful").config_template
        for name, value in self.values.items():
            config.steps[STEP].parameters[name] = value
        self._trigger(run_configuration=config)

    def sdk_yaml(self) -> None:
        self._trigger(config_path=self._yaml)

    def sdk_from_yaml(self) -> None:
        self._trigger(run_configuration=PipelineRunConfiguration.from_yaml(self._yaml))

    def sdk_written_yaml(self) -> None:
        written = self.folder / "written.yaml"
        written.write_text(write(json.loads(self._body)), encoding="utf-8")
        self._trigger(config_path=written)

    def cli_set(self) -> None:
        self._command(*(f"--set=steps.{STEP}.parameters.{name}={text}" for name, text in self.texts.items()))

    def cli_config(self) -> None:
        self._command("--config", str(self._yaml))

    def cli_flags(self) -> None:
        """A text is typed as it is, all else as JSON; that there is none of a text only --set can say."""
        typed = {name: json.loads(text) for name, text in self.texts.items() if name != "no_text"}
        flags = {name: value if isinstance(value, str) else self.texts[name] for name, value in typed.items()}
        self._command(
            f"--set=steps.{STEP}.parameters.no_text=null",
            *(f"--{STEP}.{name.replace('_', '-')}={text}" for name, text in flags.items()),
        )

    def link(self) -> None:
        self._send_form(link_query(self._schema, json.loads(self._body)))

    def run_again(self) -> None:
        self.rest_template()
        self._send_form(f"from={PipelineRun.objects.get().pk}")

    def copied_as_python(self) -> None:
        exec(self._copies["python"], {})  # noqa: S102  # as who copies it does

    def copied_as_command(self) -> None:
        command = shlex.split(self._copies["cli"].replace("\\\n", ""))
        assert command[:3] == ["zenweb", "run-template", "run"]
        self._command(*command[4:])

    def copied_as_yaml(self) -> None:
        copied = self.folder / "copied.yaml"
        copied.write_text(self._copies["yaml"], encoding="utf-8")
        self._trigger(config_path=copied)

    def rest_template(self) -> None:
        self._post("/run_templates/faithful/runs", self._body)

    def rest_deployment(self) -> None:
        self._post(f"/pipeline_deployments/{self.template.deployment.pk}/runs", self._body)

    def rest_bulk(self) -> None:
        self._post("/run_templates/faithful/runs/bulk", f'{{"runs": [{{"configuration": {self._body}}}]}}')

    def preset(self) -> None:
        self._make_preset()
        self._trigger(preset="mine")

    def form(self) -> None:
        """The preset's values as they stand in the inputs, sent as a browser does."""
        self._make_preset()
        self._send_form("preset=mine")

    def form_yaml(self) -> None:
        page, text = self.template.get_absolute_url(), self._yaml.read_text(encoding="utf-8")
        answer = self.browser.post(page, {"view": "yaml", "yaml": text})
        assert answer.status_code == 302, answer.text

    def schedule(self) -> None:
        self.client.create_schedule(
            "hourly", self.template.pk, "0 * * * *", run_configuration=self._configuration
        )
        Schedule.objects.update(next_time=timezone.now() - timedelta(minutes=1))
        fire_due_schedules()

    def repair(self) -> None:
        self._repair("null")

    def repair_with_values(self) -> None:
        self._repair(self._body)

    @property
    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.template.version.config_schema
        return schema

    @property
    def _copies(self) -> Copies:
        return copies_of(self.template, self._schema, json.loads(self._body))

    @property
    def _configuration(self) -> dict[str, Any]:
        return {"steps": {STEP: {"parameters": self.values}}}

    @property
    def _body(self) -> str:
        parameters = ", ".join(f"{json.dumps(name)}: {text}" for name, text in self.texts.items())
        return f'{{"steps": {{"{STEP}": {{"parameters": {{{parameters}}}}}}}}}'

    @property
    def _yaml(self) -> Path:
        lines = [f"      {name}: {TYPED_IN_YAML.get(name, text)}" for name, text in self.texts.items()]
        path = self.folder / "run.yaml"
        path.write_text("\n".join(["steps:", f"  {STEP}:", "    parameters:", *lines, ""]), encoding="utf-8")
        return path

    def _trigger(self, **given: Any) -> None:
        self.client.trigger_pipeline(template_id=self.template.pk, **given)

    def _command(self, *options: str) -> None:
        done = CliRunner().invoke(main, ["run-template", "run", "faithful", *options])
        assert done.exit_code == 0, done.output

    def _post(self, path: str, body: str) -> None:
        answer = self.rest.post(API + path, body, content_type="application/json")
        assert answer.status_code == 200, answer.text

    def _send_form(self, query: str) -> None:
        page = self.template.get_absolute_url()
        answer = self.browser.post(page, sent(self.browser.get(f"{page}?{query}").text))
        assert answer.status_code == 302, answer.text

    def _make_preset(self) -> None:
        self._post("/run_templates/faithful/presets", f'{{"name": "mine", "configuration": {self._body}}}')

    def _repair(self, configuration: str) -> None:
        self.rest_template()
        run = PipelineRun.objects.get()
        stop_run(actor=run.user, run=run)
        self._post(f"/runs/{run.pk}/repair", f'{{"configuration": {configuration}}}')
        assert PipelineRun.objects.latest("created").original == run


@pytest.fixture
def channels(
    template: RunTemplate,
    values: Any,
    texts: Any,
    sdk: Client,
    rest: Browser,
    client: Browser,
    alice: User,
    tmp_path: Path,
) -> Channels:
    client.force_login(alice)
    return Channels(template, values, texts, sdk, rest, client, tmp_path)


@pytest.mark.parametrize("channel", [name for name in vars(Channels) if name[0] != "_"])
def test_every_value_arrives_as_it_was_typed(
    channel: str, channels: Channels, values: dict[str, Any], faithful: ModuleType, tmp_path: Path
) -> None:
    getattr(channels, channel)()
    wanted = values
    if channel in {"form", "link", "run_again"}:
        # docs/forms.md: a moment is asked for in the server's time zone, and given to the step in it.
        moments = {name: value for name, value in values.items() if type(value) is datetime}
        wanted |= {
            name: timezone.localtime(timezone.make_aware(value) if timezone.is_naive(value) else value)
            for name, value in moments.items()
        }
    assert_arrived(what_arrives(faithful, tmp_path / "artifacts"), wanted)


@pytest.mark.django_db(transaction=True)
def test_every_value_arrives_in_a_process_of_its_own_and_comes_back_as_an_artifact(
    channels: Channels, values: dict[str, Any], worker: StepWorker
) -> None:
    channels.sdk_dictionary()
    worker.run_ready_steps("default")
    [run] = channels.client.list_pipeline_runs()
    assert run.is_finished
    assert_arrived(run.steps[STEP].output.load(), values)


@pytest.mark.parametrize(
    ("parameter", "typed", "arrives"),
    [
        ("number", "1.0", 1),  # in JSON that is a whole number, too
        ("number", "1e3", 1000),
        ("number", "1e19", 10**19),
        ("number", "1e23", 10**23),  # which is no float
        ("number", "9007199254740993.0", 2**53 + 1),
        ("share", "9007199254740993.0", 2.0**53),
        ("number", "1.5", None),
        ("number", "true", None),
        ("number", '"5"', None),
        ("number", "null", None),
        ("share", "1", 1.0),
        ("share", "-0", 0.0),
        ("share", "true", None),
        ("share", '"0.5"', None),
        ("share", "1e400", None),
        ("switch", "1", None),
        ("switch", '"true"', None),
        ("text", "5", None),
        ("text", "null", None),
        ("text", '"a\\r\\nb\\u0000"', "a\r\nb\0"),
        ("text", r'"\ud83d\udd2c"', "\N{MICROSCOPE}"),
        ("text", r'"\ud83d"', None),
        ("maybe", "null", "None"),
        ("number_or_text", '"5"', "5"),
        ("number_or_text", "5", 5),
        ("key", '" hush\\n"', SecretStr(" hush\n")),
        ("price", "12.50", Decimal("12.5")),
        ("price", "12345678901234567890", Decimal(12345678901234567890)),
        ("price", '"12345678901234567890.12"', Decimal("12345678901234567890.12")),
        ("price", "12345678901234567890.12", None),  # a float would have lost its cents
        ("price", "100000000000000000000.01", None),
        ("price", "0.1234567890123456789", None),
        ("moment", '"2026-01-01 10:00:00 +05:30"', None),
        ("moment", '"2026-01-01"', datetime(2026, 1, 1)),  # noqa: DTZ001  # as the type reads it
        ("city", '"Zürich"', "Zürich"),
        ("city", '"St. Gallen"', None),
    ],
)
def test_what_fits_a_type_only_nearly_is_refused_or_becomes_that_type(
    stacks: Any,
    alice: User,
    rest: Browser,
    faithful: Any,
    tmp_path: Path,
    parameter: str,
    typed: str,
    arrives: Any,
) -> None:
    make_template(freeze("faithful.judging_pipeline", alice, stacks["celery"]), alice, "judging")
    body = f'{{"steps": {{"judges": {{"parameters": {{"{parameter}": {typed}}}}}}}}}'
    answer = rest.post(f"{API}/run_templates/judging/runs", body, content_type="application/json")
    if arrives is None:
        assert answer.status_code in {400, 422}, what_arrives(faithful, tmp_path)[parameter]
    else:
        assert answer.status_code == 200, answer.text
        assert is_same(what_arrives(faithful, tmp_path)[parameter], None if arrives == "None" else arrives)


def test_values_that_are_frozen_with_the_code_arrive_as_they_were_written(
    stacks: dict[str, Stack], alice: User, rest: Browser, values: Any, faithful: ModuleType, tmp_path: Path
) -> None:
    make_template(freeze("faithful.frozen_pipeline", alice, stacks["celery"]), alice, "frozen")
    answer = rest.post(f"{API}/run_templates/frozen/runs", "{}", content_type="application/json")
    assert answer.status_code == 200, answer.text
    assert_arrived(what_arrives(faithful, tmp_path / "artifacts"), values)
