"""Seeds the database that the environment names, if it is empty, and measures what is answered from it."""

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil

import zenweb.wsgi  # noqa: F401 as the web server sets itself up

# isort: split

from django.core.management import call_command
from django.db import connection
from django.test import Client

from benchmarks.size.seeding import seed
from runs_app.models import PipelineRun
from templates_app.models import RunTemplate
from zenweb.accounts.models import ApiKey, Project, RoleGrant, User
from zenweb.accounts.services import create_api_key
from zenweb.enums import KeyAccess, Role

PAGE = 50
SEEN = 50  # templates of a key that is bound
FIRST, DEEP, CONTAINS, TEMPLATE = "first page", "deep page", "contains", "template"
TARGETS = {
    "sqlite": {FIRST: 30, DEEP: 100, CONTAINS: 300, TEMPLATE: 8},
    "postgresql": {FIRST: 15, DEEP: 100, CONTAINS: 300, TEMPLATE: 8},
}


@dataclass(frozen=True)
class Measure:
    """One row of the table: what a request takes in the server, in milliseconds."""

    name: str
    unit: str
    p50: float
    p95: float
    work: float
    """Of the processors, for the server and its database: what it takes on a machine that does nothing else."""
    first: float
    """The first request of its kind, for which nothing is remembered."""
    target: str


@dataclass(frozen=True)
class Request:
    name: str
    kind: str
    client: Client
    path: str
    query: Callable[[], dict[str, Any]]

    def send(self) -> float:
        began = time.perf_counter()
        answer = self.client.get(self.path, self.query())
        spent = time.perf_counter() - began
        if answer.status_code != 200:
            raise SystemExit(f"{self.name} was answered {answer.status_code}: {answer.text}")
        return spent * 1000


def main(runs: int, rounds: int, output: Path) -> None:
    measures = []
    began = time.monotonic()
    call_command("migrate", verbosity=0)
    if not PipelineRun.objects.exists():
        seed(runs)
        seconds = time.monotonic() - began
        measures.append(Measure(f"making {runs:,} runs", "s", seconds, seconds, seconds, seconds, "≤ 180"))
        print(f"Seeded in {seconds:.0f} s.", flush=True)  # noqa: T201
    measures += [_measure(request, rounds) for request in _requests(runs)]
    output.write_text(json.dumps([asdict(measure) for measure in measures]))


def _measure(request: Request, rounds: int) -> Measure:
    first = request.send()
    before = _processor_time()
    spent = [request.send() for _ in range(rounds)]
    work = (_processor_time() - before) / rounds * 1000
    vendor = connection.vendor
    p95 = statistics.quantiles(spent, n=20, method="inclusive")[18]
    target = f"≤ {TARGETS[vendor][request.kind]}" if request.kind in TARGETS[vendor] else ""
    return Measure(request.name, "ms", statistics.median(spent), p95, work, first, target)


def _processor_time() -> float:
    """Seconds, of this process and of those of PostgreSQL that serve it."""
    backends = []
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            backends = [psutil.Process(pid).cpu_times() for (pid,) in cursor.fetchall()]
    return time.process_time() + sum(times.user + times.system for times in backends)


def _requests(runs: int) -> Iterator[Request]:
    owner = User.objects.get(username="owner")
    templates = list(RunTemplate.objects.order_by("created"))
    often, rarely = templates[10], templates[190]
    last = -(-runs // PAGE)
    number = count(runs // 3)
    middle = PipelineRun.objects.order_by("created")[runs // 2].created

    def listed(title: str, kind: str = FIRST, client: Client | None = None, /, **query: Any) -> Request:
        return Request(title, kind, client or everything, "/api/v1/runs", lambda: {"size": PAGE, **query})

    everything = _client(owner, [])
    some = random.Random(5).sample(templates, SEEN)  # noqa: S311 no secret
    bound, viewer = _client(owner, some), _client(_viewer_of(some), [])
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(owner)
    yield listed("unfiltered")
    yield listed("unfiltered, newest first", sort_by="desc:created")
    for status in ("completed", "failed", "running"):
        yield listed(f"by status: {status}", status=status)
    yield listed("in progress", in_progress="True")
    yield listed("by template, used often", template_id=often.pk)
    yield listed("by template, used rarely", template_id=rarely.pk)
    yield listed("by pipeline", pipeline_id=often.pipeline.pk)
    yield listed(
        "by time: the second half", created=f"gte:{middle:%Y-%m-%d %H:%M:%S}", sort_by="desc:created"
    )
    for who, client in (("a viewer of 50 of 200 templates", viewer), ("a key bound to them", bound)):
        yield listed(who, FIRST, client)
        yield listed(f"{who}, newest first", FIRST, client, sort_by="desc:created")
        yield listed(f"{who}, by status", FIRST, client, status="failed")
    yield listed("by template and status", template_id=often.pk, status="failed")
    yield listed("by user, sorted by name", user="owner", sort_by="name")
    yield listed(f"page {last:,}", DEEP, page=last)
    yield listed(f"page {last // 2:,}", DEEP, page=last // 2)
    yield listed(f"page {last // 2:,}, by status", DEEP, page=last // 2, status="completed")
    yield listed("a viewer of 50 of 200: page 2,000", DEEP, viewer, page=min(2000, last // 10))
    yield listed("a key bound to them: page 2,000", DEEP, bound, page=min(2000, last // 10))
    yield listed("name contains: one run", CONTAINS, name=f"contains:run-{runs // 2}")
    yield Request(
        *("name contains: another run each time", CONTAINS, everything, "/api/v1/runs"),
        lambda: {"size": PAGE, "name": f"contains:un-{next(number)}"},
    )
    yield listed("name contains: a tenth of all", CONTAINS, name="contains:_1")
    yield listed("name contains: none", CONTAINS, name="contains:nothing of this name")
    yield Request(
        "a run by id", "", everything, f"/api/v1/runs/{PipelineRun.objects.latest('created').pk}", dict
    )
    yield Request("a template by name", TEMPLATE, everything, f"/api/v1/run_templates/{often.name}", dict)
    yield Request("a template by id", TEMPLATE, everything, f"/api/v1/run_templates/{often.pk}", dict)
    yield Request("templates", FIRST, everything, "/api/v1/run_templates", lambda: {"size": PAGE})
    yield Request("the page of runs", FIRST, browser, "/runs/", dict)
    yield Request("its last page", DEEP, browser, "/runs/", lambda: {"page": "last"})
    yield Request("the page of runs, by status", FIRST, browser, "/runs/", lambda: {"status": "failed"})


def _viewer_of(templates: Sequence[RunTemplate]) -> User:
    """Somebody who is nobody in the project, but a viewer of these templates."""
    Project.objects.update(default_role=Role.NOBODY)
    viewer, is_new = User.objects.get_or_create(username="viewer")
    if is_new:
        RoleGrant.objects.bulk_create(
            RoleGrant(user=viewer, template=template, role=Role.VIEWER) for template in templates
        )
    return viewer


def _client(owner: User, templates: Sequence[RunTemplate]) -> Client:
    ApiKey.objects.filter(user=owner, name=f"bound to {len(templates)}").delete()
    _, text = create_api_key(
        user=owner, name=f"bound to {len(templates)}", access=KeyAccess.READ, templates=templates or None
    )
    return Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {text}"})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
