"""With what the process of a step asks the server: a token that is worth something while its attempt holds the step.

It is signed and stored nowhere: making one costs a step nothing. Whoever shows one is looked up in the attempt's row,
so it needs no time at which it ends, nor to be renewed (docs/decisions/0018).
"""

import uuid
from typing import cast

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db.models import UUIDField

from runs_app.lineage import place_of
from runs_app.models import PipelineRun, StepAttempt
from runs_app.querysets import heavy_of
from templates_app.querysets import documents_of
from zenweb.accounts.models import StepInUse, User
from zenweb.enums import HELD_STATUSES
from zenweb.exceptions import CredentialsNotValid
from zenweb.execution.protocol import ServerAccess
from zenweb.prepared import Given, Prepared

PREFIX = "ZENSTEP_"
_signer = Signer(salt="zenweb.step-token")
ATTEMPT: Prepared[StepAttempt] = Prepared(
    lambda: (
        StepAttempt.objects.select_related(
            *("worker", "step__run__user", "step__run__bound_key", "step__run__pipeline"),
            *("step__run__template__user", "step__run__deployment__user"),
        )
        .defer("log_tail", *heavy_of("step__run"), *documents_of("step__run__deployment"))
        .filter(pk=Given("id", UUIDField()))
    )
)


def server_access(attempt: StepAttempt) -> ServerAccess | None:
    """Where the attempt's process finds the server and with what; None: this worker was not told where."""
    if not settings.STEP_SERVER_URL:
        return None
    token = PREFIX + _signer.sign(f"{attempt.pk.hex}:{attempt.number}")
    return ServerAccess(url=settings.STEP_SERVER_URL, token=token)


def is_step_token(text: str) -> bool:
    return text.startswith(PREFIX)


def user_of_step(token: str) -> User:
    """Who started the run of the step whose token this is. Raises CredentialsNotValid, saying what it is worth."""
    try:
        attempt_id, number = _signer.unsign(token.removeprefix(PREFIX)).split(":")
    except (BadSignature, ValueError) as error:
        raise CredentialsNotValid(
            "This is no token that a worker of this server has given to a step: has the worker another "
            "ZENWEB_SECRET_KEY than the server?"
        ) from error
    attempt = ATTEMPT.first(id=uuid.UUID(attempt_id))
    if attempt is None:
        raise CredentialsNotValid("This is the token of a step whose run was deleted.")
    _check_it_holds(attempt, int(number))
    return _user_in(attempt)


def _check_it_holds(attempt: StepAttempt, number: int) -> None:
    """The end of an attempt is the end of its token, and so is whatever has others take its step."""
    step = attempt.step
    words = f"This is the token of attempt {number} of step {step.name} of run {step.run.name}"
    if attempt.number != number or step.attempt != number:
        raise CredentialsNotValid(f"{words}. The step was given to another attempt since.")
    if attempt.status not in HELD_STATUSES or step.status not in HELD_STATUSES:
        raise CredentialsNotValid(f"{words}, which has ended.")
    if attempt.worker is None or not attempt.worker.is_alive:
        raise CredentialsNotValid(f"{words}, whose worker counts as dead.")
    if step.run.user is None or not step.run.user.is_active:
        raise CredentialsNotValid(f"{words}. The account that started the run is switched off or gone.")
    if step.run.bound_key_id and not (step.run.bound_key and step.run.bound_key.is_usable):
        raise CredentialsNotValid(
            f"{words}. The key that started the run has expired, or was revoked or deleted."
        )


def _user_in(attempt: StepAttempt) -> User:
    step, run = attempt.step, attempt.step.run
    user = cast(User, run.user)
    user.api_key_in_use = run.bound_key
    user.step_in_use = StepInUse(
        place=place_of(step),
        origin=_origin_of(run),
        owner=run.template.user if run.template else run.deployment.user,
    )
    return user


def _origin_of(run: PipelineRun) -> str:
    return f'the template "{run.template.name}"' if run.template else f'the pipeline "{run.pipeline.name}"'
