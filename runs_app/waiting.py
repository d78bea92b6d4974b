"""Why what waits does so, as it is when somebody looks: no worker, none that is free, a limit that is reached.

Nothing of this needs a worker to notice it, so it is told even when nothing but the web server runs. What is read
for a page or an answer gets these reasons in place of the stored ones; only `recording.note_unserved` stores some.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from django.conf import settings
from django.db.models import Min
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from runs_app import limits
from runs_app.models import PipelineRun, RunChoice, StepRun, Worker
from runs_app.wording import clock_words
from zenweb.enums import ExecutionStatus

NEVER = datetime.min.replace(tzinfo=UTC)  # always before a step became ready
PATIENCE = timedelta(seconds=1)  # before a step that is ready counts as waiting
Key = TypeVar("Key")
MOST_WORKERS = 500  # that are looked through for who served a queue last
MOST_DELAYED = 500  # steps that are looked at for when their runs go on
MOST_UNSERVED = 500  # steps that are noted at once


@dataclass(frozen=True)
class Reason:
    """Why something waits, and since when that is so."""

    since: datetime
    sentence: str
    is_noted: bool = False
    """In the ledger already, by whoever sees to it."""


class Wait(NamedTuple):
    """What is ready and not taken yet: in which queue, since when, and of which run."""

    queue: str
    since: datetime
    run_id: uuid.UUID


def explain(run: PipelineRun, steps: Sequence[StepRun]) -> list[Reason]:
    """Have a run and its steps say what they wait for; all there is to say that its ledger does not, once each."""
    found = _explain_steps(steps)
    if run.queued_at is not None and not run.is_finished:
        _explain_queued([run])
        return []  # its ledger says so already
    _explain_unprepared([run])
    reasons = list({reason.sentence: reason for reason in found.values()}.values())
    _explain_run(run, reasons)
    return [reason for reason in reasons if not reason.is_noted]


def explain_steps(steps: Sequence[StepRun]) -> None:
    """Have steps say what they wait for, in place of what they have stored."""
    _explain_steps(steps)


def explain_runs(runs: Sequence[PipelineRun]) -> None:
    """Have runs say what they, or their steps, wait for."""
    unfinished = [run for run in runs if not run.is_finished]
    if not unfinished:
        return
    _explain_queued([run for run in unfinished if run.queued_at is not None])
    _explain_unprepared([run for run in unfinished if run.queued_at is None])
    now = timezone.now()
    open_steps = StepRun.objects.filter(run__in=unfinished)
    ready = open_steps.filter(ready_at__lte=now - PATIENCE).exclude(delayed_until__gt=now)
    # However many steps these runs have: each queue is looked at once.
    waiting = ready.order_by().values_list("run_id", "queue").annotate(Min("ready_at"))
    found = _reasons({(run_id, queue): Wait(queue, since, run_id) for run_id, queue, since in waiting})
    by_run: dict[uuid.UUID, list[Reason]] = {}
    for (run_id, _), reason in sorted(found.items(), key=lambda item: item[1].since):
        by_run.setdefault(run_id, []).append(reason)
    delayed = open_steps.filter(delayed_until__gt=now).order_by("delayed_until")
    for step in delayed.only("run", "name", "settings", "failures", "delayed_until")[:MOST_DELAYED]:
        by_run.setdefault(step.run_id, []).append(_delay_of(step))
    for run in unfinished:
        _explain_run(run, by_run.get(run.pk, []))


def outlook(queues: Collection[str]) -> tuple[dict[str, str], dict[str, int]]:
    """How it stands with these queues: why a step would wait there, where it would, and else the free slots."""
    workers = list(Worker.objects.seen_lately())
    stuck, served = _stuck(set(queues), workers)
    taken = _taken(workers) if served - stuck.keys() else Counter()
    free = {
        queue: sum(max(worker.slots - taken[worker.pk], 0) for worker in workers if queue in worker.queues)
        for queue in served - stuck.keys()
    }
    busy = {queue: _busy_reason(queue, workers, taken) for queue in free if not free[queue]}
    return {queue: reason.sentence for queue, reason in {**stuck, **busy}.items()}, free


def unserved() -> dict[uuid.UUID, dict[str, str]]:
    """By run and queue, the sentence for steps that wait although no worker is there for them, and do not say so yet.

    For housekeepers, who bury the dead: a worker that is not buried counts as alive.
    """
    served = {queue for queues in Worker.objects.alive().values_list("queues", flat=True) for queue in queues}
    silent = StepRun.objects.filter(
        ready_at__lte=timezone.now() - settings.WORKER_LEASE, status_reason="", run__caller_beat=None
    ).exclude(queue__in=served)
    found: dict[uuid.UUID, dict[str, str]] = {}
    waiting = list(silent.values_list("run_id", "queue")[:MOST_UNSERVED])
    sentences = {
        queue: reason.sentence for queue, reason in _unserved({queue for _, queue in waiting}).items()
    }
    for run_id, queue in waiting:
        found.setdefault(run_id, {})[queue] = sentences[queue]
    return found


def unserved_sentences(queues: Collection[str]) -> dict[str, str]:
    """By queue, that nobody works on it; without those that somebody does. It asks as often, whether or not."""
    served = {queue for worker in Worker.objects.seen_lately() for queue in worker.queues}
    reasons = _unserved(set(queues))
    return {queue: reason.sentence for queue, reason in reasons.items() if queue not in served}


def unserved_sentence(queue: str) -> str:
    """That nobody works on a queue, if that is so."""
    if any(queue in worker.queues for worker in Worker.objects.seen_lately()):
        return ""
    return _unserved({queue})[queue].sentence


def _explain_steps(steps: Iterable[StepRun]) -> dict[uuid.UUID, Reason]:
    ready = [step for step in steps if step.ready_at is not None]
    now = timezone.now()
    delayed = {step.id: _delay_of(step) for step in ready if step.delayed_until and step.delayed_until > now}
    reasons = _reasons(
        {
            step.id: Wait(step.queue, step.ready_at, step.run_id)
            for step in ready
            if step.ready_at and step.ready_at <= now - PATIENCE and step.id not in delayed
        }
    )
    reasons |= delayed
    for step in ready:
        told = reasons[step.id].sentence if step.id in reasons else ""
        # A step that is tried again says why in the row; what a new one says there may be over.
        kept = step.status_reason if step.status == ExecutionStatus.RETRYING else ""
        step.status_reason = " ".join(filter(None, [kept, told]))
    return reasons


def _delay_of(step: StepRun) -> Reason:
    """Of a step that waits before it is tried again."""
    moment = step.delayed_until or NEVER
    sentence = gettext("Step %(step)s waits until %(time)s for attempt %(number)s of %(most)s.") % {
        "step": step.name,
        "time": clock_words(moment, "H:i:s"),
        "number": step.failures + 1,
        "most": int(step.settings["retry"]["max_retries"]) + 1,
    }
    return Reason(moment, sentence, is_noted=True)


def _explain_run(run: PipelineRun, reasons: Sequence[Reason]) -> None:
    if reasons and not run.is_finished and not run.status_reason:
        run.status_reason = reasons[0].sentence


def _explain_queued(runs: Sequence[PipelineRun]) -> None:
    """Runs that wait for others of their template name them as they are now."""
    templates = {run.template_id for run in runs if run.template_id}
    if not templates:
        return
    by_template = limits.limits_of(templates)
    holders = limits.first_holders(by_template)
    for run in runs:
        if run.template_id and (limit := by_template.get(run.template_id)):
            # Itself among them: it was let go since it was read.
            others = [name for pk, name in holders.get(run.template_id, {}).items() if pk != run.pk]
            reason = limit.reason_with(others)
            run.status_reason = gettext("It waits for its turn: %(reason)s") % {"reason": reason}


def _explain_unprepared(runs: Sequence[PipelineRun]) -> None:
    """Runs whose choices nobody can be asked for say so."""
    unprepared = {run.pk: run for run in runs if not run.is_prepared and not run.is_finished}
    if not unprepared:
        return
    asked = RunChoice.objects.filter(run__in=unprepared, is_open=True, preparation__isnull=False)
    waiting = list(asked.values_list("run_id", "preparation__queue").distinct())
    sentences = {queue: unserved_sentence(queue) for queue in {queue for _, queue in waiting}}
    for run_id, queue in waiting:
        run = unprepared[run_id]
        if (sentence := sentences[queue]) and sentence not in run.status_reason:
            run.status_reason = f"{run.status_reason} {sentence}".strip()


def _reasons(waiting: Mapping[Key, Wait]) -> dict[Key, Reason]:
    """For what waits, why it does so; nothing where a worker is about to take it."""
    if not waiting:
        return {}
    workers = list(Worker.objects.seen_lately())
    queues = {wait.queue for wait in waiting.values() if wait.queue}
    stuck, served = _stuck(queues, workers)
    unprepared = _unprepared(waiting.values(), workers)
    busy = _busy(served - stuck.keys(), workers)
    found = {}
    for key, wait in waiting.items():
        if reason := stuck.get(wait.queue) or unprepared.get(wait) or busy.get(wait.queue):
            found[key] = replace(reason, since=max(wait.since, reason.since))
    return found


def _stuck(queues: set[str], workers: Sequence[Worker]) -> tuple[dict[str, Reason], set[str]]:
    """Queues that nobody serves or that are full, with that; and those that somebody serves."""
    served = queues & {queue for worker in workers for queue in worker.queues}
    return {**_unserved(queues - served), **_full(served)}, served


def _unserved(queues: set[str]) -> dict[str, Reason]:
    if not queues:
        return {}
    latest = list(Worker.objects.order_by("-updated").values_list("queues", "updated")[:MOST_WORKERS])
    found = {}
    for queue in queues:
        since = next((updated for names, updated in latest if queue in names), None)
        if since is None:
            found[queue] = Reason(
                NEVER, gettext("No worker has served queue %(queue)s yet.") % {"queue": queue}
            )
        else:
            found[queue] = Reason(
                since,
                gettext("No worker serves queue %(queue)s since %(time)s.")
                % {"queue": queue, "time": clock_words(since)},
            )
    return found


def _full(queues: set[str]) -> dict[str, Reason]:
    """Queues that run as many steps as they may."""
    limited = queues & settings.QUEUE_LIMITS.keys()
    if not limited:
        return {}
    taken = Counter(StepRun.objects.running().filter(queue__in=limited).values_list("queue", flat=True))
    return {
        queue: Reason(NEVER, _full_words(queue, settings.QUEUE_LIMITS[queue]))
        for queue in limited
        if taken[queue] >= settings.QUEUE_LIMITS[queue]
    }


def _full_words(queue: str, limit: int) -> str:
    words = ngettext(
        "Queue %(queue)s runs at most %(number)s step at once, and does.",
        "Queue %(queue)s runs at most %(number)s steps at once, and does.",
        limit,
    )
    return words % {"queue": queue, "number": limit}


def _unprepared(waiting: Collection[Wait], workers: Sequence[Worker]) -> dict[Wait, Reason]:
    """What waits for an environment that a worker of its queue makes."""
    made = {
        (queue, deployment): sentence
        for worker in workers
        for deployment, sentence in worker.making.items()
        for queue in worker.queues
    }
    if not made:
        return {}
    runs = PipelineRun.objects.filter(pk__in={wait.run_id for wait in waiting})
    deployments = dict(runs.values_list("pk", "deployment_id"))
    sentences = {wait: made.get((wait.queue, str(deployments.get(wait.run_id)))) for wait in waiting}
    return {wait: Reason(NEVER, sentence, is_noted=True) for wait, sentence in sentences.items() if sentence}


def _busy(queues: set[str], workers: Sequence[Worker]) -> dict[str, Reason]:
    """Queues whose workers all have their hands full, perhaps with steps of other queues."""
    if not queues:
        return {}
    taken = _taken(workers)
    return {
        queue: _busy_reason(queue, workers, taken)
        for queue in queues
        if all(taken[worker.pk] >= worker.slots for worker in workers if queue in worker.queues)
    }


def _taken(workers: Sequence[Worker]) -> Counter[Any]:
    running = StepRun.objects.running().filter(worker__in=workers)
    return Counter(running.values_list("worker_id", flat=True))


def _busy_reason(queue: str, workers: Sequence[Worker], taken: Counter[Any]) -> Reason:
    number = sum(taken[worker.pk] for worker in workers if queue in worker.queues)
    words = ngettext(
        "All workers of queue %(queue)s are busy: %(number)s step runs.",
        "All workers of queue %(queue)s are busy: %(number)s steps run.",
        number,
    )
    return Reason(NEVER, words % {"queue": queue, "number": number})
