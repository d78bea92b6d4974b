"""Programs sign in through the browser (RFC 8628): they show a code, a signed-in person confirms it, they get a key."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext

from zenweb.accounts.addresses import network_of
from zenweb.accounts.audit import record_audit
from zenweb.accounts.brakes import Brake
from zenweb.accounts.models import NAME_LIMIT, ApiKey, DeviceLogin, User
from zenweb.accounts.permissions import check_may_change
from zenweb.accounts.services import create_api_key
from zenweb.accounts.tokens import hash_of
from zenweb.enums import AuditVerb, DeviceLoginError, DeviceLoginStatus
from zenweb.exceptions import DeviceLoginUnfinished, DoesNotExist, FieldError, ValidationFailed

LIFETIME = timedelta(minutes=10)
INTERVAL = timedelta(seconds=3)  # between two questions of the program
# Letters that make no words and are not taken for others; eight of them are 25 thousand million codes.
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
MOST_WAITING = 10_000
MOST_WAITING_PER_NETWORK = 50
CODE_BRAKE = Brake("device-code", 10, timedelta(seconds=10), timedelta(minutes=15))


@dataclass(frozen=True)
class Started:
    """What the program needs: a secret to ask with, and the code that it shows."""

    login: DeviceLogin
    device_code: str


def start_device_login(*, client_id: str, program: str, machine: str, address: str) -> Started:
    """Note that a program wants to be signed in.

    Of too many from one network, the oldest that wait are forgotten, and of too many altogether those of the network
    with the most: whoever starts many keeps nobody else out.
    """
    if not 1 <= len(client_id) <= 100 or not client_id.isprintable():
        raise ValidationFailed([FieldError("/client_id", "Send a client_id, such as a UUID of your own.")])
    now = timezone.now()
    DeviceLogin.objects.filter(expires_at__lt=now).delete()
    waiting = DeviceLogin.objects.filter(status=DeviceLoginStatus.WAITING)
    network = network_of(address)
    _forget_oldest(waiting.filter(network=network), MOST_WAITING_PER_NETWORK)
    if waiting.count() >= MOST_WAITING:
        _forget_one_of_the_many(waiting)
    device_code = secrets.token_urlsafe(32)
    login = DeviceLogin(
        client_id=client_id,
        device_code_hash=hash_of(device_code),
        expires_at=now + LIFETIME,
        program=program,
        machine=machine[:NAME_LIMIT],
        address=address,
        network=network,
    )
    while True:
        login.user_code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
        try:
            with transaction.atomic():
                login.save(force_insert=True)
        except IntegrityError:  # this code waits already
            continue
        return Started(login, device_code)


def shown_code(user_code: str) -> str:
    """As a person reads it: `BCDF-GHJK`."""
    return f"{user_code[: CODE_LENGTH // 2]}-{user_code[CODE_LENGTH // 2 :]}"


def find_device_login(*, actor: User, user_code: str) -> DeviceLogin:
    """The sign-in that waits under a code, however it was typed. Raises DoesNotExist; TooManyTries for guessing."""
    former = CODE_BRAKE.take(str(actor.pk))
    code = "".join(letter for letter in user_code.upper() if letter.isalnum())[: CODE_LENGTH + 1]
    waiting = DeviceLogin.objects.filter(status=DeviceLoginStatus.WAITING, expires_at__gt=timezone.now())
    login = waiting.filter(user_code=code).first()
    if login is None:
        raise DoesNotExist(
            gettext(
                "No program waits under this code. Compare it with what the program shows; after ten minutes "
                "it has to be started again."
            )
        )
    CODE_BRAKE.give_back(former, str(actor.pk))
    return login


@transaction.atomic
def decide_device_login(*, actor: User, login: DeviceLogin, is_confirmed: bool) -> None:
    """Sign the program in as the actor, or refuse it. Once; raises DoesNotExist if that was done already."""
    check_may_change(actor)
    status = DeviceLoginStatus.CONFIRMED if is_confirmed else DeviceLoginStatus.REFUSED
    undecided = DeviceLogin.objects.filter(
        pk=login.pk, status=DeviceLoginStatus.WAITING, expires_at__gt=timezone.now()
    )
    if not undecided.update(status=status, user=actor if is_confirmed else None):
        raise DoesNotExist(gettext("This was decided already, or the code has expired."))
    verb = AuditVerb.CONFIRM if is_confirmed else AuditVerb.REFUSE
    asked = {"program": login.program, "machine": login.machine, "address": login.address}
    record_audit(actor=actor, verb=verb, thing=login, after=asked)


@transaction.atomic
def finish_device_login(*, client_id: str, device_code: str) -> tuple[ApiKey, str]:
    """The key of a program that was confirmed, and its text: once. Raises DeviceLoginUnfinished, also to say wait."""
    found = DeviceLogin.objects.select_for_update(of=("self",)).select_related("user")
    login = found.filter(device_code_hash=hash_of(device_code), client_id=client_id).first()
    now = timezone.now()
    if login is None or login.expires_at <= now:
        sentence = "This sign-in has expired, or was finished before. Start it again."
        raise DeviceLoginUnfinished(DeviceLoginError.EXPIRED, sentence)
    if login.status == DeviceLoginStatus.REFUSED:
        raise DeviceLoginUnfinished(DeviceLoginError.DENIED, "The sign-in was refused in the browser.")
    if login.status == DeviceLoginStatus.WAITING or login.user is None:
        sentence = "Nobody has confirmed the code in the browser yet."
        raise DeviceLoginUnfinished(DeviceLoginError.PENDING, sentence)
    if not login.user.is_active:
        raise DeviceLoginUnfinished(DeviceLoginError.DENIED, "The account is switched off.")
    login.delete()
    return create_api_key(
        user=login.user,
        name=_free_name(login.user, login.machine or login.program or "a program"),
        description="Signed in through the browser.",
        expires_at=now + settings.DEVICE_LOGIN_LIFETIME,
    )


def _free_name(user: User, machine: str) -> str:
    """Named after the machine, with the number of its sign-ins behind it where there are more."""
    name = f"Sign-in from {machine.replace('/', ' ')}"[: NAME_LIMIT - 10].strip()
    taken = set(ApiKey.objects.filter(user=user, name__startswith=name).values_list("name", flat=True))
    numbered = (f"{name} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _forget_one_of_the_many(waiting: "models.QuerySet[DeviceLogin]") -> None:
    """Of networks with as many as another, the one that has waited longest gives way."""
    crowds = waiting.values("network").annotate(number=models.Count("pk"), since=models.Min("created"))
    crowd = crowds.order_by("-number", "since").first()
    if crowd is not None:
        _forget_oldest(waiting.filter(network=crowd["network"]), crowd["number"])


def _forget_oldest(logins: "models.QuerySet[DeviceLogin]", most: int) -> None:
    oldest = logins.order_by("-created").values_list("pk", flat=True)[most - 1 : most + 99]
    DeviceLogin.objects.filter(pk__in=list(oldest)).delete()
