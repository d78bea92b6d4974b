"""Runs whose pipeline is put together with other parameters first: asking a worker, and telling what was wrong."""

from django.utils.translation import gettext

from runs_app import preparations
from runs_app.asked import look_on, unserved
from runs_app.models import PipelineRun, Preparation, RunCompilation, RunEvent
from runs_app.own_parameters import POINTER
from runs_app.questions import CompileQuestion
from zenweb.enums import PreparationStatus
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.pointers import pointer_to


def compile_now(question: CompileQuestion, seconds: float) -> FieldError | None:
    """Have it put together within so many seconds; None when it is, else why that is not known yet.

    Raises ValidationFailed where it cannot be. Not inside of a transaction.
    """
    try:
        asked = preparations.ask(question)
    except preparations.TooManyQuestions:
        sentence = gettext("Workers are asked for too much of this pipeline. Try again in a moment.")
        return FieldError(POINTER, sentence)
    look_on(asked, seconds)
    return _unknown(asked)


def not_asked(question: CompileQuestion) -> FieldError:
    """What is told where nobody waits for an answer."""
    sentence = gettext("The pipeline is put together with these parameters before the first step.")
    if failure := preparations.last_failure(question):
        words = gettext("%(sentence)s When that was tried last, it failed: %(failure)s")
        sentence = words % {"sentence": sentence, "failure": failure}
    return FieldError(POINTER, sentence)


def failures_of(asked: Preparation) -> list[FieldError]:
    """Why it could not be put together, at its place."""
    pointer = pointer_to(["parameters", asked.blamed]) if asked.blamed else POINTER
    return [FieldError(pointer, asked.failure)]


def known_failures(question: CompileQuestion) -> list[FieldError]:
    """Why it could not be put together a moment ago."""
    asked = Preparation.objects.fresh().filter(key=question.key, status=PreparationStatus.FAILED).first()
    return failures_of(asked) if asked else []


def wait_for(run: PipelineRun, question: CompileQuestion, moment: str) -> None:
    """A run that is being accepted has no steps until this is answered."""
    asked = preparations.ask(question, again=True, for_run=True)
    RunCompilation.objects.create(run=run, preparation=asked, moment=moment)
    RunEvent.objects.note(run.pk, "The pipeline is put together with its own parameters first.")


def _unknown(asked: Preparation) -> FieldError | None:
    match PreparationStatus(asked.status):
        case PreparationStatus.ANSWERED:
            return None
        case PreparationStatus.FAILED:
            raise ValidationFailed(failures_of(asked))
    being_made = gettext("A worker is putting the pipeline together with these parameters.")
    return FieldError(POINTER, unserved(asked) or being_made)
