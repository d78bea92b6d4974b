"""The only writer of preparations: questions are asked, claimed, answered, given back and forgotten.

Every change is a conditional UPDATE, and every answer names the attempt that found it.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import BooleanField, DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from runs_app.dispatch import ring_for_preparations
from runs_app.models import Preparation, RunChoice, RunCompilation, Worker
from runs_app.querysets import PreparationQuerySet
from runs_app.questions import AnyQuestion, choice_places
from zenweb.enums import PreparationStatus

Option = tuple[Any, str]
# However short a provider's cache is: whoever asked gets to see the answer, and a failure, before it is asked again.
MOMENT = 5.0  # seconds
KEPT = timedelta(hours=1)
PATIENCE = timedelta(seconds=15)  # for which a question waits that no run needs and nobody repeats
MOST_WAITING = 50  # of a deployment, that no run needs
MOST_FORGOTTEN = 200  # at once
LOG_LIMIT = 20_000


class TooManyQuestions(Exception):
    """So many of one pipeline wait that another one is not asked."""


def fresh_answer(question: AnyQuestion) -> Preparation | None:
    """What is known of it now."""
    answered = Preparation.objects.fresh().filter(key=question.key, status=PreparationStatus.ANSWERED)
    return cast(Preparation | None, answered.first())


def last_failure(question: AnyQuestion) -> str:
    """Why it could not be answered when it was asked for last, or ""."""
    failed = Preparation.objects.filter(key=question.key, status=PreparationStatus.FAILED)
    return failed.values_list("failure", flat=True).first() or ""


def ask(question: AnyQuestion, *, again: bool = False, for_run: bool = False) -> Preparation:
    """The row of this question: with an answer that holds, being asked, or asked now. `again`: also after a failure.

    Raises TooManyQuestions, unless it is for a run that will wait for it.
    """
    rows = Preparation.objects.filter(key=question.key)
    holding = rows.fresh().exclude(status=PreparationStatus.FAILED) if again else rows.fresh()
    # Whoever waits repeats it again and again, and most of that need write nothing.
    known = (holding | rows.asked_lately()).first()
    return cast(Preparation, known) if known else _ask(question, again=again, for_run=for_run)


def claim(worker: Worker, queues: Iterable[str], passing_over: Collection[UUID] = ()) -> Preparation | None:
    """Take a question of these queues for this worker, the oldest that a run needs before all others.

    The one place where one is claimed.
    """
    waiting = _awaited().filter(queue__in=queues).exclude(deployment_id__in=passing_over)
    # Looked at before: on SQLite, a transaction that may write keeps all others from writing.
    return _claim(worker, waiting) if waiting.exists() else None


def record_answer(claimed: Preparation, options: list[Option], log: str) -> bool:
    """What may be chosen. False: it was given to another worker, and nothing is written."""
    kept = max(choice_places(claimed.deployment_id)[claimed.step, claimed.parameter].rules.cache, MOMENT)
    return _end(claimed, kept, status=PreparationStatus.ANSWERED, answer=options, failure="", log_tail=log)


def record_compiled(claimed: Preparation, log: str) -> bool:
    """The pipeline was put together: the deployment is the answer. False: as above."""
    return _end(claimed, MOMENT, status=PreparationStatus.ANSWERED, failure="", blamed="", log_tail=log)


def record_failure(claimed: Preparation, sentence: str, log: str, blamed: str = "") -> bool:
    """Why it cannot be said what may be chosen, or what the pipeline consists of. False: as above.

    `blamed`: the pipeline's parameter whose value is wrong.
    """
    facts = {"answer": None, "failure": sentence[:2000], "blamed": blamed[:255]}
    return _end(claimed, MOMENT, status=PreparationStatus.FAILED, log_tail=log, **facts)


def give_back(claimed: Preparation) -> None:
    """Others may ask; nobody is to blame."""
    held = Preparation.objects.filter(
        pk=claimed.pk, attempt=claimed.attempt, status=PreparationStatus.RUNNING
    )
    if held.update(status=PreparationStatus.WAITING, worker=None, updated=Now()):
        ring_for_preparations([claimed.queue])


def take_back_from_the_dead() -> None:
    """What a worker asked when it died is asked again, by another one, a few times."""
    lost = Preparation.objects.filter(status=PreparationStatus.RUNNING).exclude(worker__is_alive=True)
    for found in lost.defer("answer"):
        take_back_lost(found, "The worker died")


def take_back_lost(claimed: Preparation, what_died: str) -> bool:
    """What died while it asked is made up for, a few times; then the question fails. False: others had it already."""
    deaths = claimed.worker_deaths + 1
    if deaths >= settings.MAX_WORKER_DEATHS:
        return record_failure(claimed, f"{what_died} {deaths} times while it asked.", "")
    held = Preparation.objects.filter(
        pk=claimed.pk, attempt=claimed.attempt, status=PreparationStatus.RUNNING
    )
    is_taken = held.update(status=PreparationStatus.WAITING, worker=None, worker_deaths=deaths)
    if is_taken:
        ring_for_preparations([claimed.queue])
    return bool(is_taken)


@transaction.atomic
def forget_old() -> None:
    """Remove what nobody waits for and nobody has asked for long, a little at a time."""
    ago = timezone.now() - KEPT
    unused = Preparation.objects.exclude(status=PreparationStatus.RUNNING).exclude(_is_for_run())
    # Long past for answers too: a launch that read one as fresh a moment ago is not to be seen yet.
    old = unused.filter(updated__lt=ago).exclude(fresh_until__gt=ago)
    if connection.features.has_select_for_update_skip_locked:  # else nobody else writes meanwhile
        old = old.select_for_update(skip_locked=True)
    # Held: whoever asks for one of them now waits, finds that it is gone, and makes it anew.
    held = list(old.values_list("pk", flat=True)[:MOST_FORGOTTEN])
    Preparation.objects.filter(pk__in=held).delete()


@transaction.atomic
def _ask(question: AnyQuestion, *, again: bool, for_run: bool) -> Preparation:
    rows = Preparation.objects.filter(key=question.key)
    ended = rows.ended() if again else rows.stale()
    is_new = ended.update(status=PreparationStatus.WAITING, asked_at=timezone.now(), worker_deaths=0)
    if not rows.update(updated=Now()):  # so that it is not given up or forgotten meanwhile
        is_new = True
        made = Preparation(
            deployment_id=question.deployment_id,
            kind=question.kind,
            step=question.step,
            parameter=question.parameter,
            arguments=question.arguments,
            key=question.key,
            queue=question.queue,
        )
        Preparation.objects.bulk_create([made], ignore_conflicts=True)
        rows.update(updated=Now())  # by the database's clock, as it will be judged
    if is_new and not for_run:
        _check_there_is_room(question)
    if is_new:
        transaction.on_commit(partial(ring_for_preparations, [question.queue]), robust=True)
    return cast(Preparation, rows.get())


def _awaited() -> PreparationQuerySet:
    """Questions to be asked, in their order. Who has closed a form, or given up, waits no more."""
    waiting = Preparation.objects.filter(status=PreparationStatus.WAITING)
    told_apart = waiting.annotate(is_for_run=ExpressionWrapper(_is_for_run(), output_field=BooleanField()))
    awaited = told_apart.filter(Q(is_for_run=True) | Q(updated__gt=Now() - PATIENCE))
    return cast(PreparationQuerySet, awaited.order_by("-is_for_run", "asked_at"))


def _is_for_run() -> Q:
    """Whether a run waits for the row that this is asked of."""
    choices = RunChoice.objects.filter(preparation=OuterRef("pk"), is_open=True)
    compilations = RunCompilation.objects.filter(preparation=OuterRef("pk"), is_open=True)
    return Q(Exists(choices)) | Q(Exists(compilations))


def _check_there_is_room(question: AnyQuestion) -> None:
    waiting = _awaited().filter(deployment_id=question.deployment_id, is_for_run=False)
    if waiting.count() > MOST_WAITING:
        raise TooManyQuestions


@transaction.atomic
def _claim(worker: Worker, waiting: PreparationQuerySet) -> Preparation | None:
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True, of=("self",))
    if (found := waiting.defer("answer").first()) is None:
        return None
    alive = Worker.objects.filter(pk=worker.pk, is_alive=True).values("pk")
    free = Preparation.objects.filter(Exists(alive), pk=found.pk, status=PreparationStatus.WAITING)
    if not free.update(
        status=PreparationStatus.RUNNING, attempt=F("attempt") + 1, worker=worker, updated=Now()
    ):
        return None
    found.attempt += 1
    return cast(Preparation, found)


def _end(claimed: Preparation, kept: float, log_tail: str, **facts: Any) -> bool:
    held = Preparation.objects.filter(
        pk=claimed.pk, attempt=claimed.attempt, status=PreparationStatus.RUNNING
    )
    until = ExpressionWrapper(Now() + timedelta(seconds=kept), DateTimeField())
    facts |= {"log_tail": log_tail[-LOG_LIMIT:], "ended_at": Now(), "fresh_until": until, "updated": Now()}
    return bool(held.update(worker=None, **facts))
