"""What is done with accounts: people sign in, service accounts and keys are made, changed and taken away."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from zenweb.accounts.addresses import network_of
from zenweb.accounts.audit import facts_of, record_audit, record_deletion
from zenweb.accounts.brakes import Brake
from zenweb.accounts.models import DESCRIPTION_LIMIT, NAME_LIMIT, ApiKey, Project, User
from zenweb.accounts.origins import current_origin
from zenweb.accounts.permissions import check_is_administrator, check_may_change
from zenweb.accounts.tokens import Credentials, authenticate_key, earliest, end_of, key_text, new_secret
from zenweb.entity import is_id
from zenweb.enums import AuditVerb, KeyAccess, Role
from zenweb.exceptions import (
    CredentialsNotValid,
    DoesNotExist,
    EntityExists,
    FieldError,
    NotAllowed,
    TooManyTries,
    ValidationFailed,
)

MOST_KEYS = 200  # of one account
LONGEST_RETAIN_PERIOD = timedelta(days=30)
# One who mistypes never notices these. Whoever guesses at one account is slowed down there, whoever tries one password
# at many accounts by the brake of the address, behind which there may be a whole office.
ACCOUNT_BRAKE = Brake("sign-in", 5, timedelta(seconds=2), timedelta(minutes=15))
PASSWORD_BRAKE = Brake("password", 5, timedelta(seconds=2), timedelta(minutes=15))
ADDRESS_BRAKE = Brake("sign-in-address", 100, timedelta(seconds=2), timedelta(minutes=15))


def default_project() -> Project:
    """In which everybody is a runner, unless it is said otherwise."""
    defaults = {"display_name": Project.DEFAULT, "default_role": Role.RUNNER}
    return Project.objects.get_or_create(name=Project.DEFAULT, defaults=defaults)[0]


def find_project(actor: User, name_or_id: str | None) -> Project:
    """The project of that name or id, if they may see it. When none is given the default one, whoever asks."""
    if not name_or_id:
        return default_project()
    visible = Project.objects.visible_to(actor)
    try:
        by_id = uuid.UUID(name_or_id)
    except ValueError:
        found = visible.filter(name=name_or_id).first()
    else:
        found = visible.filter(id=by_id).first()
    if found is None:
        raise DoesNotExist(f"There is no project {name_or_id!r}.")
    return cast(Project, found)


def sign_in(*, username: str, password: str, address: str) -> Credentials:
    """Check what was given at the login; without a user name the password is an API key.

    Raises CredentialsNotValid; TooManyTries where there were too many wrong ones for this account from that address.
    """
    if not username:
        credentials = authenticate_key(password)
        record_audit(actor=credentials.user, verb=AuditVerb.SIGN_IN, thing=credentials.user)
        return credentials
    network, account = network_of(address), username.casefold()
    former = ADDRESS_BRAKE.take(network)
    try:
        ACCOUNT_BRAKE.take(account, network)
    except TooManyTries:  # nobody looks at this try, so the neighbours need not pay for it
        ADDRESS_BRAKE.give_back(former, network)
        raise
    user = authenticate(username=username, password=password) if _is_text(username + password) else None
    if not isinstance(user, User) or user.is_service_account:
        _note_failure(username)
        raise CredentialsNotValid(
            gettext(
                "That name and password do not belong together, or the account is switched off. "
                "Both are case-sensitive."
            )
        )
    ACCOUNT_BRAKE.release(account, network)
    # Not released: with an account of one's own one could guess at those of others for ever.
    ADDRESS_BRAKE.give_back(former, network)
    record_audit(actor=user, verb=AuditVerb.SIGN_IN, thing=user)
    return Credentials(user)


def _note_failure(username: str) -> None:
    """Of a name that no account has the audit tells nothing: it may be a password, typed into the wrong field.

    The brakes bound how many of these there are.
    """
    known = User.objects.filter(username=username).first() if _is_text(username) else None
    record_audit(actor=None, verb=AuditVerb.FAIL_TO_SIGN_IN, thing=known or User)


def _is_text(text: str) -> bool:
    """Half of a character, which JSON can name, is no part of any name or password."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


# -- one's own password -----------------------------------------------------------------------------------------------


def change_password(*, actor: User, current: str, new: str, kept_session: str = "") -> None:
    """Give oneself another password. All that the former one had signed in ends with it: browsers and access tokens.

    `kept_session`: the key of the one that asks. API keys go on working: they are secrets of their own. Raises
    ValidationFailed (`/current`, `/new`), TooManyTries where the current one was wrong too often, NotAllowed.
    """
    check_may_change(actor)
    if not actor.has_usable_password():
        raise NotAllowed(gettext("This account has no password to change: it signs in with API keys."))
    _check_current_password(actor, current)
    _check_new_password(actor, current, new)
    with transaction.atomic():
        actor.set_password(new)
        actor.save(update_fields=["password", "updated"])
        actor.browser_sessions.exclude(session_key=kept_session).delete()
        record_audit(actor=actor, verb=AuditVerb.CHANGE_PASSWORD, thing=actor)


def _check_current_password(actor: User, current: str) -> None:
    """Whoever finds a browser that is signed in shall not find out the password with it, nor keep its owner waiting."""
    whom = (str(actor.pk), network_of(current_origin().address))
    PASSWORD_BRAKE.take(*whom)
    if not _is_text(current) or not actor.check_password(current):
        raise ValidationFailed([FieldError("/current", gettext("This is not your password."))])
    PASSWORD_BRAKE.release(*whom)


def _check_new_password(actor: User, current: str, new: str) -> None:
    try:
        if not _is_text(new):
            raise ValidationError(gettext("This has half of a character in it."))
        validate_password(new, actor)
    except ValidationError as error:
        raise ValidationFailed([FieldError("/new", sentence) for sentence in error.messages]) from error
    if new == current:
        raise ValidationFailed([FieldError("/new", gettext("This is the password that you have."))])


# -- service accounts -------------------------------------------------------------------------------------------------


@transaction.atomic
def create_service_account(*, actor: User, name: str, description: str = "", is_active: bool = True) -> User:
    """An account for a machine. It has no password, only keys. Raises ValidationFailed, EntityExists."""
    check_is_administrator(actor)
    _check_account_name(name)
    _check_description(description)
    account = User(username=name, description=description, is_active=is_active, is_service_account=True)
    account.set_unusable_password()
    account.save(force_insert=True)
    record_audit(actor=actor, verb=AuditVerb.CREATE, thing=account, after=facts_of(account))
    return account


@transaction.atomic
def update_service_account(
    *,
    actor: User,
    account: User,
    name: str | None = None,
    description: str | None = None,
    is_active: bool | None = None,
) -> User:
    """Change what is given; None leaves a thing as it is. Switched off, none of its keys works."""
    check_is_administrator(actor)
    account = User.objects.select_for_update().get(pk=account.pk)
    before = facts_of(account)
    if name is not None and name != account.username:
        _check_account_name(name)
        account.username = name
    if description is not None:
        _check_description(description)
        account.description = description
    account.is_active = account.is_active if is_active is None else is_active
    account.save(update_fields=["username", "description", "is_active", "updated"])
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=account, before=before, after=facts_of(account))
    return account


@transaction.atomic
def delete_service_account(*, actor: User, account: User) -> None:
    """Remove an account with its keys; what it made and ran stays."""
    check_is_administrator(actor)
    record_deletion(actor=actor, thing=account)
    account.delete()


# -- API keys ---------------------------------------------------------------------------------------------------------


def bindable_templates(user: User) -> Any:
    """The run templates that a key may be bound to, by whom. They live in an app that accounts know nothing of."""
    model: Any = ApiKey.templates.field.related_model
    return model.objects.visible_to(user)


@transaction.atomic
def create_api_key(
    *,
    user: User,
    name: str,
    description: str = "",
    expires_at: datetime | None = None,
    access: KeyAccess | None = None,
    templates: Iterable[Any] | None = None,
    actor: User | None = None,
) -> tuple[ApiKey, str]:
    """A new key of an account and its text, which is not kept. Raises ValidationFailed, EntityExists, NotAllowed.

    `templates`: it sees and runs these only. `access`: everything if nothing is said, running where it is bound.
    `actor`: who makes it, with something that it will not outlive; None: the server itself.
    """
    if actor is not None:
        expires_at = earliest(expires_at, end_of(actor))
    bound = None if templates is None else list(templates)
    access = access or (KeyAccess.FULL if bound is None else KeyAccess.RUN)
    check_new_api_key(actor, user, name, description, access, bound, expires_at)
    _make_room(user)
    _free_name(user, name)
    secret, secret_hash = new_secret()
    api_key = ApiKey.objects.create(
        user=user,
        name=name,
        description=description,
        expires_at=expires_at,
        access=access,
        is_bound=bound is not None,
        secret_hash=secret_hash,
    )
    api_key.templates.set(bound or [])
    scope = {"templates": [each.name for each in bound]} if bound else {}
    record_audit(actor=actor or user, verb=AuditVerb.CREATE, thing=api_key, after=facts_of(api_key) | scope)
    return api_key, key_text(api_key.id, secret)


def check_new_api_key(
    actor: User | None,
    user: User,
    name: str,
    description: str,
    access: KeyAccess,
    templates: list[Any] | None,
    expires_at: datetime | None,
) -> None:
    """Raises what `create_api_key` would; for forms that say so before it is called."""
    if actor is not None:
        _check_manages(actor, user)
    _check_key_name(user, name)
    if ApiKey.objects.usable(now=timezone.now()).filter(user=user).count() >= MOST_KEYS:
        sentence = gettext("An account has at most %(most)s API keys. Delete one of them first.")
        raise ValidationFailed(sentence % {"most": MOST_KEYS})
    _check_description(description)
    _check_scope(access, templates, expires_at)


def _make_room(user: User) -> None:
    """Of an account's keys that have ended, the oldest give way: there are never more than can be shown."""
    keys, usable = ApiKey.objects.filter(user=user), ApiKey.objects.usable()
    ended = keys.exclude(pk__in=usable.values("pk")).order_by("-created").values_list("pk", flat=True)
    kept = max(0, MOST_KEYS - 1 - usable.filter(user=user).count())
    ApiKey.objects.filter(pk__in=list(ended[kept : kept + MOST_KEYS])).delete()


@transaction.atomic
def update_api_key(
    *,
    actor: User,
    api_key: ApiKey,
    name: str | None = None,
    description: str | None = None,
    is_active: bool | None = None,
) -> ApiKey:
    """Change what is given; None leaves a thing as it is. `is_active=False` revokes it, True takes that back."""
    _check_manages(actor, api_key.user)
    api_key = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=api_key.pk)
    before = facts_of(api_key)
    if name is not None and name != api_key.name:
        _check_key_name(api_key.user, name)
        _free_name(api_key.user, name)
        api_key.name = name
    if description is not None:
        _check_description(description)
        api_key.description = description
    if is_active is False and api_key.revoked_at is None:
        api_key.revoked_at = timezone.now()
    if is_active is True:
        _check_does_not_outlive(actor, api_key)
        api_key.revoked_at = None
    api_key.save(update_fields=["name", "description", "revoked_at", "updated"])
    record_audit(actor=actor, verb=AuditVerb.CHANGE, thing=api_key, before=before, after=facts_of(api_key))
    return api_key


@transaction.atomic
def rotate_api_key(
    *, actor: User, api_key: ApiKey, retain_period: timedelta = timedelta()
) -> tuple[ApiKey, str]:
    """Give a key another secret; the former one works for as long as it is to be retained. Returns the new text.

    What was retained of an earlier rotation ends now.
    """
    _check_manages(actor, api_key.user)
    if not timedelta() <= retain_period <= LONGEST_RETAIN_PERIOD:
        sentence = gettext("The former secret may go on working for up to %(most)s minutes.")
        most = int(LONGEST_RETAIN_PERIOD / timedelta(minutes=1))
        raise ValidationFailed([FieldError("/retain_period_minutes", sentence % {"most": most})])
    api_key = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=api_key.pk)
    if not api_key.is_usable:
        raise ValidationFailed(gettext("This key was revoked or has expired. Make a new one instead."))
    _check_does_not_outlive(actor, api_key)
    now, before = timezone.now(), facts_of(api_key)
    secret, secret_hash = new_secret()
    api_key.former_hash, api_key.former_until = api_key.secret_hash, now + retain_period
    api_key.secret_hash, api_key.rotated_at = secret_hash, now
    api_key.retain_period_minutes = int(retain_period / timedelta(minutes=1))
    api_key.save()
    record_audit(actor=actor, verb=AuditVerb.ROTATE, thing=api_key, before=before, after=facts_of(api_key))
    return api_key, key_text(api_key.id, secret)


@transaction.atomic
def delete_api_key(*, actor: User, api_key: ApiKey) -> None:
    """Forget a key; it signs nobody in any more. Runs keep the name of the key that started them."""
    _check_manages(actor, api_key.user)
    record_audit(actor=actor, verb=AuditVerb.DELETE, thing=api_key, before=facts_of(api_key))
    api_key.delete()


def _check_manages(actor: User, account: User) -> None:
    """Everybody has keys of their own; those of other accounts are the administrators' affair."""
    check_may_change(actor)
    if not actor.is_superuser and actor.pk != account.pk:
        raise NotAllowed(gettext("Only an administrator may manage the keys of another account."))


def _check_does_not_outlive(actor: User, api_key: ApiKey) -> None:
    """Whoever has a key or token for a while must not get a secret that works for longer."""
    end = end_of(actor)
    if end is not None and (api_key.expires_at is None or api_key.expires_at > end):
        raise NotAllowed(
            gettext(
                "You ask with a key or token that ends before this key does. Do it on the account page, "
                "or with a key that lasts longer."
            )
        )


def _check_scope(access: KeyAccess, bound: list[Any] | None, expires_at: datetime | None) -> None:
    errors = []
    if bound is not None and access == KeyAccess.FULL:
        sentence = gettext("A key that is bound to run templates may run them or only see them.")
        errors.append(FieldError("/access", sentence))
    if bound is not None and not bound:
        errors.append(FieldError("/templates", gettext("Name at least one run template, or none at all.")))
    if expires_at is not None and expires_at <= timezone.now():
        errors.append(FieldError("/expires_at", gettext("That is in the past: the key would never work.")))
    if errors:
        raise ValidationFailed(errors)


def _check_key_name(user: User, name: str) -> None:
    _check_can_be_named(name, NAME_LIMIT)
    if ApiKey.objects.filter(user=user, name=name).not_ended().exists():
        sentence = gettext("%(account)s already has an API key called %(name)r. Choose another name.")
        raise EntityExists(sentence % {"account": user.get_username(), "name": name})


def _free_name(user: User, name: str) -> None:
    """A key that has ended gives way to one that is to have its name. Runs that it started keep saying it."""
    ApiKey.objects.filter(user=user, name=name).ended().delete()


def _check_account_name(name: str) -> None:
    _check_can_be_named(name, 150)
    try:
        User.username_validator(name)
    except ValidationError as error:
        raise ValidationFailed([FieldError("/name", " ".join(error.messages))]) from error
    if User.objects.filter(username=name).exists():
        sentence = gettext("An account called %(name)r already exists. Choose another name.")
        raise EntityExists(sentence % {"name": name})


def _check_can_be_named(name: str, limit: int) -> None:
    if not name.strip() or len(name) > limit or "/" in name or not name.isprintable():
        sentence = gettext("A name has between 1 and %(limit)s characters on one line, and no slash.")
        raise ValidationFailed([FieldError("/name", sentence % {"limit": limit})])
    if is_id(name):
        sentence = gettext("A name must not look like an id: where either may be given, an id is meant.")
        raise ValidationFailed([FieldError("/name", sentence)])


def _check_description(description: str) -> None:
    if len(description) > DESCRIPTION_LIMIT or "\0" in description:
        sentence = gettext("A description has at most %(limit)s characters.") % {"limit": DESCRIPTION_LIMIT}
        raise ValidationFailed([FieldError("/description", sentence)])
