"""What `zenweb up --demo` adds: the examples as run templates, and with `--once` a run of one of them over REST."""

import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import click
import httpx

from zenweb.cli.display import show_table
from zenweb.cli.environment import PYTHON, own_environment
from zenweb.cli.processes import Supervisor
from zenweb.enums import FINISHED_STATUSES, ExecutionStatus
from zenweb.exceptions import ZenWebError

EXAMPLES = Path(__file__).parents[2] / "examples"
STACK = "celery"
RUN_LIMIT = 120.0  # seconds


@dataclass(frozen=True)
class Example:
    """One of the examples' folders."""

    folder: Path
    pipeline: str
    template: str


TRAINING = Example(EXAMPLES / "training", "run.training_pipeline", "training")
ALL = (TRAINING, Example(EXAMPLES / "quality_report", "run.quality_report_pipeline", "quality report"))
# Without the cache: a second demonstration would have nothing to show.
CHANGED: dict[str, Any] = {
    "enable_cache": False,
    "steps": {"trainer": {"parameters": {"learning_rate": 0.2, "n_estimators": 50}}},
}


class DemoFailed(ZenWebError):
    """The demonstration could not be completed."""


def require_examples() -> None:
    """Say so where the package was installed without them."""
    if not EXAMPLES.is_dir():
        raise DemoFailed("The examples are not part of the package: start --demo from a source checkout.")


@dataclass(frozen=True)
class Demo:
    """The examples as a user of the server meets them: by command and over REST, with an API key."""

    server_url: str
    api_key: str = field(repr=False)

    def register(self, supervisor: Supervisor) -> None:
        """Make run templates of the examples. What is registered already and has not changed stays as it is."""
        # At the same time: most of it is the import of their libraries.
        for registration in [(example, self._start_registration(example)) for example in ALL]:
            self._finish_registration(*registration)
            supervisor.check()

    def run_training(self, supervisor: Supervisor) -> None:
        """Run the training example with changed parameters, wait and report. Raises DemoFailed if it fails."""
        run = self._request("POST", f"run_templates/{TRAINING.template}/runs", json=CHANGED)
        changed = ", ".join(
            f"{name} {value}" for name, value in CHANGED["steps"]["trainer"]["parameters"].items()
        )
        click.echo(f"\nRunning {TRAINING.template} with {changed} …")
        supervisor.wait_for(
            lambda: self._request("GET", f"runs/{run['id']}/status") in FINISHED_STATUSES,
            what="The end of the run",
            timeout=RUN_LIMIT,
        )
        self._report(run["id"])

    def _start_registration(self, example: Example) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *PYTHON,
                *("-m", "zenweb.cli", "pipeline", "create-run-template", example.pipeline),
                *("--name", example.template, "--stack", STACK, "--update"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=example.folder,
            env={**own_environment(), "ZENWEB_SERVER_URL": self.server_url, "ZENWEB_API_KEY": self.api_key},
            process_group=0,
        )

    def _finish_registration(self, example: Example, process: subprocess.Popen[str]) -> None:
        output, errors = process.communicate()
        if process.returncode:
            raise DemoFailed(f"The example {example.template!r} could not be registered: {errors.strip()}")
        click.echo(output.partition("\n")[0])

    def _report(self, run_id: str) -> None:
        run = self._request("GET", f"runs/{run_id}")
        steps = self._request("GET", f"runs/{run_id}/steps", params={"hydrate": True})["items"]
        show_table(
            ("STEP", "STATUS", "SECONDS"),
            [
                (step["name"], step["body"]["status"], f"{step['body']['duration'] or 0:.2f}")
                for step in steps
            ],
            empty="It had no steps.",
        )
        outputs = [version for step in steps for [version] in step["resources"]["outputs"].values()]
        show_table(
            ("ARTIFACT", "VERSION", "STORED AT"),
            [(_artifact(output), output["body"]["version"], output["body"]["uri"]) for output in outputs],
            empty="It made no artifacts.",
        )
        status = run["body"]["status"]
        click.echo(f"Run {run['name']} {status}: {urljoin(self.server_url, run['body']['url'])}")
        if status != ExecutionStatus.COMPLETED:
            raise DemoFailed(_explanation(run, steps))

    def _request(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = self._http.request(method, path, **content)
        except httpx.TransportError as error:
            raise DemoFailed(f"The server did not answer: {error}") from error
        if answer.is_error:
            raise DemoFailed(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json()

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.server_url}/api/v1/",
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=10,
            trust_env=False,  # a proxy does not reach this machine
        )


def _artifact(version: dict[str, Any]) -> str:
    return str(version["body"]["artifact"]["name"])


def _explanation(run: dict[str, Any], steps: list[dict[str, Any]]) -> str:
    """Why a run did not complete: its own reason and what its steps raised."""
    raised = [
        f"{step['name']}: {exception['type']}: {exception['message']}"
        for step in steps
        if (exception := (step["metadata"] or {}).get("exception_info"))
    ]
    return "\n".join([run["body"]["status_reason"] or "The run did not complete.", *raised])
