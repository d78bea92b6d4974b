"""CI jobs start a template with one call and are told how its run ended, however many of them wait."""

import os
import shutil
import socket
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from runs_app.api.logs import FOLLOWERS
from tests.e2e.conftest import Site
from tests.e2e.test_sdk import run_script
from tests.runs.test_worker import wait_for

SCRIPT = Path(__file__).parents[2] / "examples" / "ci" / "run-template"
WAITING = 50
PIPELINE = """
import time
from pathlib import Path

from zenweb import pipeline, step


@step(enable_cache=False)
def waits_for(file: str = "", fails: bool = False) -> None:
    while file and not Path(file).exists():
        time.sleep(0.05)
    if fails:
        raise ValueError("no luck")


@pipeline
def patient():
    waits_for()


patient.create_run_template(name="patient")
"""


@pytest.fixture(scope="module")
def template(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    run_script(PIPELINE, tmp_path_factory.mktemp("patient"), site)
    return "patient"


@pytest.fixture
def job(site: Site, template: str):
    """Run the script as a job does, with more variables; its exit code and what it printed."""
    if not (shutil.which("jq") and shutil.which("curl")):
        pytest.skip("examples/ci/run-template needs curl and jq")

    def run(configuration: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "ZENWEB_SERVER_URL": site.url,
            "ZENWEB_API_KEY": site.api_key,
            **variables,
        }
        command = [SCRIPT, template, configuration]
        return subprocess.run(
            command, check=False, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def with_parameters(parameters: str) -> str:
    return f'{{"steps": {{"waits_for": {{"parameters": {parameters}}}}}}}'


def test_a_job_ends_as_its_run_does(job) -> None:
    done = job("{}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "completed\twaits_for" in done.stdout
    failed = job(with_parameters('{"fails": true}'))
    assert failed.returncode == 1
    assert "no luck" in failed.stdout


def test_a_refused_job_says_why(job) -> None:
    refused = job(with_parameters('{"fails": 3}'))
    assert refused.returncode == 2
    assert "/steps/waits_for/parameters/fails: " in refused.stderr


def test_a_configuration_is_never_a_file_of_the_runner(job, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    refused = job(f"@{tmp_path}/secret")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "JSON" in refused.stderr


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/api/v1/x?", "/health?"])
def test_a_wrong_address_is_told_of(job, site: Site, path: str) -> None:
    refused = job("{}", ZENWEB_SERVER_URL=site.url + path)
    assert refused.returncode == 2
    assert refused.stderr.strip()


def test_a_job_that_is_started_again_is_told_of_its_run(job) -> None:
    first, second = (job("{}", ZENWEB_RUN_KEY="job 7").stdout.splitlines()[0] for _ in range(2))
    assert first == second


def test_a_job_whose_time_is_over_leaves_its_run_alone(job, tmp_path: Path) -> None:
    late = job(with_parameters(f'{{"file": "{tmp_path}/go"}}'), ZENWEB_TIMEOUT="0")
    (tmp_path / "go").touch()
    assert late.returncode == 124


def test_a_job_whose_run_is_stopped_says_so(job, site: Site, tmp_path: Path) -> None:
    waits = with_parameters(f'{{"file": "{tmp_path}/go"}}')
    assert job(waits, ZENWEB_TIMEOUT="0", ZENWEB_RUN_KEY="job 8").returncode == 124
    headers = {"Authorization": f"Bearer {site.api_key}"}
    newest = httpx.get(f"{site.url}/api/v1/runs?sort_by=desc:created&size=1", headers=headers).json()["items"]
    httpx.post(f"{site.url}/api/v1/runs/{newest[0]['id']}/stop", headers=headers)
    assert job(waits, ZENWEB_RUN_KEY="job 8").returncode == 3


def test_a_job_without_a_server_says_so(job) -> None:
    gone = job("{}", ZENWEB_SERVER_URL="http://127.0.0.1:9", ZENWEB_RETRY="1")
    assert gone.returncode == 4


def test_fifty_that_wait_hold_nobody_up(site: Site, template: str, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {site.api_key}"}
    body = {"steps": {"waits_for": {"parameters": {"file": f"{tmp_path}/go"}}}}
    limits = httpx.Limits(max_connections=WAITING + 1)
    with httpx.Client(base_url=f"{site.url}/api/v1", headers=headers, timeout=90, limits=limits) as api:
        alone = time_of_list(api)
        run = api.post(f"/run_templates/{template}/runs", json=body).json()["id"]
        with ThreadPoolExecutor(WAITING) as crowd:
            waiting = [crowd.submit(api.get, f"/runs/{run}", params={"wait": 60}) for _ in range(WAITING)]
            wait_for(lambda: all(one.running() for one in waiting))
            beside = time_of_list(api)
            assert not any(one.done() for one in waiting)
            began = time.monotonic()
            (tmp_path / "go").touch()
            assert {one.result().json()["summary"]["status"] for one in waiting} == {"completed"}
            assert time.monotonic() - began < 5
    assert beside < 3 * alone + 0.02


def test_two_hundred_that_never_send_their_body_hold_nobody_up(site: Site, template: str) -> None:
    """More than there are threads. On this machine whoever calls from another address of it is somebody else."""
    host, port = site.url.removeprefix("http://").split(":")
    headers = {"Authorization": f"Bearer {site.api_key}"}
    begun = (
        b"POST /api/v1/login HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\npassword=" % host.encode()
    )
    other = httpx.HTTPTransport(local_address="127.0.0.2")
    with (
        ExitStack() as stalled,
        httpx.Client(base_url=f"{site.url}/api/v1", transport=other, timeout=20) as api,
    ):
        for _ in range(200):
            stalled.enter_context(socket.create_connection((host, int(port)))).sendall(begun)
        began = time.monotonic()
        assert httpx.get(f"{site.url}/health", timeout=20).status_code == 200
        assert api.get("/run_templates", headers=headers).status_code == 200
        assert api.post(f"/run_templates/{template}/validate", headers=headers, json={}).status_code == 200
        assert time.monotonic() - began < 15


def test_who_goes_away_from_a_log_makes_room(site: Site, template: str, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {site.api_key}"}
    body = {"steps": {"waits_for": {"parameters": {"file": f"{tmp_path}/go"}}}}
    limits = httpx.Limits(max_connections=FOLLOWERS.most_of_one + 2)
    with (
        httpx.Client(base_url=f"{site.url}/api/v1", headers=headers, timeout=30, limits=limits) as api,
        ExitStack() as following,
    ):
        run = api.post(f"/run_templates/{template}/runs", json=body).json()["id"]

        def follow() -> httpx.Response:
            answer = api.send(api.build_request("GET", f"/runs/{run}/logs?follow=true"), stream=True)
            following.callback(answer.close)
            if answer.status_code != 200:
                answer.close()
            return answer

        answers = [follow() for _ in range(FOLLOWERS.most_of_one)]
        assert {answer.status_code for answer in answers} == {200}
        assert follow().status_code == 503
        answers[0].close()
        wait_for(
            lambda: follow().status_code == 200
        )  # at its next sign of life the server finds nobody there
        assert time_of_list(api) < 1
        (tmp_path / "go").touch()
        assert b"goes_on" not in answers[1].read()  # the run has ended, and so does what follows it


def time_of_list(api: httpx.Client) -> float:
    def once() -> float:
        began = time.monotonic()
        assert api.get("/runs").status_code == 200
        return time.monotonic() - began

    return statistics.median(once() for _ in range(15))
