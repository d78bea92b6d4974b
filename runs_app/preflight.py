"""What running a configuration would come to, before anybody runs it: nothing is made, nobody is told.

Everything here is a look at how things are now. What is cached may be deleted, and workers may come and go, before
the run starts; the run decides again by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from statistics import median, quantiles
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy

from runs_app import caching, limits, waiting
from runs_app.differences import Difference, differences, of_steps, values_to_compare
from runs_app.foretelling import Foretold, foretell
from runs_app.judging import judge, warnings_of
from runs_app.models import Environment, PipelineRun, StepRun
from runs_app.plans import plan_of
from runs_app.presets import last_good_run
from runs_app.run_configuration import ResolvedConfiguration, ResolvedStep
from runs_app.statements import ReadyStep
from templates_app.models import RunTemplate, RunTemplateVersion
from templates_app.schema_forms.schemas import humanise
from templates_app.schema_places import without_secrets
from zenweb.accounts.models import User
from zenweb.enums import ConcurrencyPolicy, EnvironmentStatus, ExecutionStatus
from zenweb.exceptions import FieldError, ValidationFailed

MOST_RUNS = 20  # that durations are taken from
MOST_STEPS = 5_000  # of all these runs together
MOST_ENVIRONMENTS = 200
MOST_NOTES = 20  # about steps, on a page


@dataclass(frozen=True)
class Expected:
    """How long it may take, from how long its steps took in earlier runs; what comes from the cache takes no time."""

    seconds: float
    low: float
    """Nine of ten earlier runs took longer than this …"""
    high: float
    """… and nine of ten less."""
    runs: int
    """How many earlier runs are known."""
    unknown: Sequence[str] = ()
    """Steps that never completed, and are not counted."""


@dataclass(frozen=True)
class Queue:
    """Where steps of it would wait for a worker."""

    name: str
    free: int
    """Slots of workers that could take a step at once."""
    obstacle: str = ""
    """Why no step of it would start at once, as a sentence."""


@dataclass(frozen=True)
class Preflight:
    """What would happen."""

    version: RunTemplateVersion
    """As it is with the pipeline's own parameters."""
    resolved: ResolvedConfiguration
    unchecked: Sequence[FieldError]
    """What workers are asked about before its first step, each with a sentence."""
    cached: frozenset[str]
    """The steps that would not run, because their results are there already."""
    expected: Expected | None
    """None: none of its steps has completed so far."""
    queues: Sequence[Queue]
    runs_ahead: int
    turn: str
    """What it waits for before its first step, as a sentence: its template runs only so many at once."""
    makes_environment: bool
    """Whether its packages have to be installed first."""
    good_run: PipelineRun | None
    """The last one that completed."""
    differences: Sequence[Difference] = field(default_factory=list)
    """How it differs from that one."""

    @property
    def warnings(self) -> list[str]:
        return warnings_of(self.resolved, self.unchecked)

    @property
    def running(self) -> list[str]:
        return [step.spec.name for step in self.resolved.steps if step.spec.name not in self.cached]

    @cached_property
    def foretold(self) -> list[Foretold]:
        """Of each step, what is decided while the run goes on."""
        return foretell(self.resolved.steps)

    @property
    def notes(self) -> list[tuple[str, str]]:
        """The titles of steps about which more is to be said than that they run, with the sentence."""
        return [(humanise(each.name), each.sentence) for each in self.foretold if each.sentence][:MOST_NOTES]

    @property
    def cached_titles(self) -> list[str]:
        return [humanise(step.spec.name) for step in self.resolved.steps if step.spec.name in self.cached]

    @property
    def obstacles(self) -> list[str]:
        return [queue.obstacle for queue in self.queues if queue.obstacle]

    @property
    def is_calm(self) -> bool:
        """Whether it would start at once."""
        return not (self.turn or self.makes_environment or self.obstacles or self.unchecked)


def preflight(
    *,
    actor: User,
    version: RunTemplateVersion,
    configuration: Any,
    preset: str = "",
    wait: float | None = None,
) -> Preflight:
    """Look ahead. Raises ValidationFailed as running it would. `wait`: seconds for what workers are asked."""
    judgement = judge(actor=actor, runnable=version, configuration=configuration, preset=preset, wait=wait)
    if judgement.resolved is None:
        raise ValidationFailed(judgement.errors)
    resolved, template = judgement.resolved, version.template
    if isinstance(judgement.runnable, RunTemplateVersion):
        version = judgement.runnable
    cached = _cached(version, resolved)
    queues = list(_queues(version, [step for step in resolved.steps if step.spec.name not in cached]))
    turn, queued = _turn(template)
    good_run = last_good_run(actor, template)
    return Preflight(
        version=version,
        resolved=resolved,
        unchecked=judgement.unchecked,
        cached=cached,
        expected=_expected(template, resolved.steps, cached),
        queues=queues,
        runs_ahead=queued + _runs_ahead([queue.name for queue in queues if not queue.free]),
        turn=turn,
        makes_environment=_makes_environment(version),
        good_run=good_run,
        differences=_differences(version, good_run, resolved),
    )


def _cached(version: RunTemplateVersion, resolved: ResolvedConfiguration) -> frozenset[str]:
    deployment = version.deployment
    run = PipelineRun(project_id=deployment.project_id, deployment=deployment, stack=deployment.stack)
    steps = [
        ReadyStep(run.pk, index, step.spec.name, "", step.parameters, step.settings, [])
        for index, step in enumerate(resolved.steps)
    ]
    return caching.foresee(run, steps)


def _queues(version: RunTemplateVersion, steps: Iterable[ResolvedStep]) -> Iterable[Queue]:
    default = version.deployment.stack.queue
    names = list(dict.fromkeys(step.settings.get("queue") or default for step in steps))
    obstacles, free = waiting.outlook(names)
    for name in names:
        yield Queue(name, free.get(name, 0), obstacles.get(name, ""))


_TURNS = {
    ConcurrencyPolicy.QUEUE: gettext_lazy("Further runs wait for their turn: %(reason)s"),
    ConcurrencyPolicy.SKIP: gettext_lazy("Further runs are not run: %(reason)s"),
    ConcurrencyPolicy.CANCEL: gettext_lazy("Further runs take the place of the oldest: %(reason)s"),
}


def _turn(template: RunTemplate) -> tuple[str, int]:
    """What it waits for before it may start, and how many runs come before it."""
    limit = limits.limit_of(template.pk) if template.max_concurrent_runs is not None else None
    if limit is None or limit.free_places() > 0:
        return "", 0
    holders = list(limit.holders().values_list("name", flat=True)[: limits.MOST_NAMED + 1])
    queued = PipelineRun.objects.queued().filter(template=template).count()
    return _TURNS[limit.policy] % {"reason": limit.reason_with(holders)}, queued


def _runs_ahead(queues: Sequence[str]) -> int:
    """Runs whose steps wait in these queues already."""
    if not queues:
        return 0
    ready = StepRun.objects.ready(timezone.now()).filter(queue__in=queues)
    return int(ready.order_by().values("run_id").distinct().count())


def _makes_environment(version: RunTemplateVersion) -> bool:
    needed = set(plan_of(version.deployment_id).requirements)
    if not needed:
        return False
    ready = Environment.objects.filter(status=EnvironmentStatus.READY).order_by("-used_at")
    return not any(
        set(names) == needed for names in ready.values_list("requirements", flat=True)[:MOST_ENVIRONMENTS]
    )


def _expected(
    template: RunTemplate, steps: Sequence[ResolvedStep], cached: frozenset[str]
) -> Expected | None:
    runs, took = _history(template, len(steps))
    known = {name: seconds for name, seconds in took.items() if name not in cached}
    unknown = [step.spec.name for step in steps if step.spec.name not in {*cached, *known}]
    if unknown and not known:
        return None

    def path(of: Callable[[Sequence[float]], float]) -> float:
        return _longest_path(steps, {name: of(seconds) for name, seconds in known.items()})

    return Expected(path(median), path(_first_tenth), path(_last_tenth), runs, unknown)


def _history(template: RunTemplate, steps: int) -> tuple[int, dict[str, list[float]]]:
    """How many completed runs of it there were lately, and the seconds that each step took in them."""
    most = max(1, min(MOST_RUNS, MOST_STEPS // max(steps, 1)))
    completed = PipelineRun.objects.filter(template=template, status=ExecutionStatus.COMPLETED)
    runs = list(completed.order_by("-created").values_list("pk", flat=True)[:most])
    # Of a mapped step, how long all of it took.
    whole = StepRun.objects.without_elements().filter(run__in=runs)
    rows = whole.filter(status=ExecutionStatus.COMPLETED, start_time__isnull=False)
    took: dict[str, list[float]] = {}
    for name, start, end in rows.order_by().values_list("name", "start_time", "end_time"):
        took.setdefault(name, []).append(max((end - start) / timedelta(seconds=1), 0.0))
    return len(runs), took


def _first_tenth(seconds: Sequence[float]) -> float:
    return _tenths(seconds)[0]


def _last_tenth(seconds: Sequence[float]) -> float:
    return _tenths(seconds)[-1]


def _tenths(seconds: Sequence[float]) -> list[float]:
    """What divides the values into ten equal parts."""
    return quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else [seconds[0]]


def _longest_path(steps: Sequence[ResolvedStep], seconds: Mapping[str, float]) -> float:
    """How long the steps take when each starts as soon as those before it have ended."""
    ends: dict[str, float] = {}
    for step in steps:
        start = max((ends[name] for name in step.spec.upstream), default=0.0)
        ends[step.spec.name] = start + seconds.get(step.spec.name, 0.0)
    return max(ends.values(), default=0.0)


def _differences(
    version: RunTemplateVersion, run: PipelineRun | None, resolved: ResolvedConfiguration
) -> list[Difference]:
    """Secrets are not among them: that one is the same as before would tell it to who guesses."""
    if run is None:
        return []
    schema = version.config_schema
    now = {
        "parameters": resolved.parameters,
        **of_steps({step.spec.name: step.parameters for step in resolved.steps}),
    }
    before, after = (without_secrets(schema, each) for each in (values_to_compare(schema, run), now))
    return differences(schema, before, after)
