"""Who acts (people and service accounts), with which key or session, what they did, and where things live: projects."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NoReturn, cast

from django.conf import settings
from django.contrib.auth.models import AbstractUser, Group, UserManager
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from zenweb.accounts.addresses import ADDRESS_LIMIT, PROGRAM_LIMIT
from zenweb.accounts.querysets import ProjectQuerySet, RoleGrantQuerySet
from zenweb.entity import Entity, JSONField
from zenweb.enums import GRANTABLE, DeviceLoginStatus, KeyAccess, Role
from zenweb.exceptions import NotAllowed

NAME_LIMIT = 200
DESCRIPTION_LIMIT = 1000
ROLE_WORDS = {
    Role.NOBODY: gettext_lazy("Nobody"),
    Role.VIEWER: gettext_lazy("Viewer"),
    Role.RUNNER: gettext_lazy("Runner"),
    Role.EDITOR: gettext_lazy("Editor"),
    Role.OWNER: gettext_lazy("Owner"),
}
APPEND_ONLY = gettext_lazy("What the audit tells is never changed or deleted.")


@dataclass(frozen=True)
class StepPlace:
    """A step that starts runs, and where its own run stands."""

    step_id: uuid.UUID
    step_name: str
    run_id: uuid.UUID
    run_name: str
    root_id: uuid.UUID
    """The run at the top of the tree: of those that were started from one another."""
    depth: int
    """How many runs stand above its own."""
    project_id: uuid.UUID
    is_restricted: bool

    def __str__(self) -> str:
        return f"step {self.step_name} of run {self.run_name}"


@dataclass(frozen=True)
class StepInUse:
    """The step in whose process somebody's name is used: who started its run has not written what is asked for."""

    place: StepPlace
    origin: str
    """What its code comes from, in words: 'the template "training"'."""
    owner: "User | None"
    """Who answers for that. None: nobody does any more."""


class ServiceAccountQuerySet(models.QuerySet["User"]):
    def visible_to(self, user: "User") -> "ServiceAccountQuerySet":
        """All for administrators; a service account sees itself."""
        accounts = self.filter(is_service_account=True)
        return accounts if user.is_superuser and not user.is_bound else accounts.filter(pk=user.pk)


class User(AbstractUser):
    """A person or, with `is_service_account`, a machine that signs in with API keys only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    is_service_account = models.BooleanField(default=False)
    description = models.CharField(max_length=DESCRIPTION_LIMIT, blank=True)
    updated = models.DateTimeField(auto_now=True)

    # What the audit tells of one.
    audited: ClassVar = (
        *("username", "first_name", "last_name", "email", "description"),
        *("is_active", "is_staff", "is_superuser", "is_service_account"),
    )

    # No columns, but with what this request was made: queries and services keep to it.
    api_key_in_use: "ApiKey | None" = None
    token_ends_at: datetime | None = None
    """The end of a temporary token: what is made with it ends then too."""
    step_in_use: StepInUse | None = None

    objects: ClassVar[UserManager["User"]] = UserManager()  # type: ignore[assignment]
    service_accounts = ServiceAccountQuerySet.as_manager()

    @property
    def created(self) -> datetime:
        return self.date_joined

    @property
    def access(self) -> KeyAccess:
        """How much may be done in this account's name: all that it may, unless by a step or a key that may do less."""
        if self.step_in_use is not None:
            return KeyAccess.RUN
        return KeyAccess(self.api_key_in_use.access) if self.api_key_in_use else KeyAccess.FULL

    @property
    def may_run(self) -> bool:
        return self.is_active and self.access is not KeyAccess.READ

    @property
    def may_change(self) -> bool:
        return self.is_active and self.access is KeyAccess.FULL

    @property
    def is_bound(self) -> bool:
        """Whether a key is used that sees and runs certain templates only."""
        return self.api_key_in_use is not None and self.api_key_in_use.is_bound

    @property
    def bound_templates(self) -> "models.QuerySet[Any]":
        """The ids of the templates that the key is bound to, for a query."""
        links = ApiKey.templates.through.objects.filter(apikey=self.api_key_in_use)
        return links.values("runtemplate_id")


class Project(Entity):
    """A named space for pipelines, templates, runs and artifacts."""

    DEFAULT: ClassVar[str] = "default"

    name = models.CharField(max_length=200, unique=True)
    display_name = models.CharField(max_length=200, blank=True)
    default_role = models.PositiveSmallIntegerField(
        choices=[(role.value, ROLE_WORDS[role]) for role in Role],
        default=Role.NOBODY,
        help_text=gettext_lazy("What everybody is here who was given no other role."),
    )

    objects = ProjectQuerySet.as_manager()

    audited: ClassVar = ("name", "display_name", "default_role_word")

    def __str__(self) -> str:
        return self.name

    @property
    def default_role_word(self) -> str:
        return Role(self.default_role).word


class RoleGrant(Entity):
    """What a user, or everybody in a group, is to a project or to one run template."""

    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants"
    )
    template = models.ForeignKey(
        "templates_app.RunTemplate",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="role_grants",
    )
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants"
    )
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.CASCADE, related_name="role_grants"
    )
    role = models.PositiveSmallIntegerField(choices=[(role.value, ROLE_WORDS[role]) for role in GRANTABLE])

    objects = RoleGrantQuerySet.as_manager()
    audited: ClassVar = ("holder", "role_word")

    class Meta:
        ordering: ClassVar = ["-role", "created"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(project__isnull=True) ^ models.Q(template__isnull=True),
                name="role_grant_on_one_thing",
            ),
            models.CheckConstraint(
                condition=models.Q(user__isnull=True) ^ models.Q(group__isnull=True),
                name="role_grant_to_user_or_group",
            ),
            *(
                models.UniqueConstraint(fields=[where, who], name=f"role_grant_{where}_{who}")
                for where in ("project", "template")
                for who in ("user", "group")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.holder}: {Role(self.role).word}"

    @property
    def thing(self) -> Any:
        """The project or run template."""
        return self.template or self.project

    @property
    def role_word(self) -> str:
        return Role(self.role).word

    @property
    def holder(self) -> str:
        """The name of the user or group."""
        return self.user.get_username() if self.user else cast(Group, self.group).name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: "datetime | models.Value | None" = None) -> "ApiKeyQuerySet":
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=now or timezone.now()),
            revoked_at__isnull=True,
            user__is_active=True,
        )

    def not_ended(self) -> "ApiKeyQuerySet":
        """Those that work, or would if their account were not switched off."""
        is_over = models.Q(expires_at__isnull=False, expires_at__lte=timezone.now())
        return self.filter(~is_over, revoked_at__isnull=True)

    def ended(self) -> "ApiKeyQuerySet":
        """Revoked or expired."""
        is_over = models.Q(expires_at__lte=timezone.now())
        return self.filter(is_over | models.Q(revoked_at__isnull=False))

    def visible_to(self, user: User) -> "ApiKeyQuerySet":
        """One's own and, for administrators, those of service accounts; a key that is bound sees itself."""
        if user.is_bound:
            return self.filter(pk=user.api_key_in_use.pk) if user.api_key_in_use else self.none()
        own = models.Q(user=user)
        return self.filter(own | models.Q(user__is_service_account=True) if user.is_superuser else own)


class ApiKey(Entity):
    """A random secret that signs its user in. Only its hash is kept; the text is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=NAME_LIMIT)
    description = models.CharField(max_length=DESCRIPTION_LIMIT, blank=True)
    # One SHA-256 is enough here: the secret has 256 random bits, there is nothing to guess.
    secret_hash = models.CharField(max_length=64)
    # Of the secret before the last rotation, which works until then.
    former_hash = models.CharField(max_length=64, blank=True)
    former_until = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    retain_period_minutes = models.PositiveIntegerField(
        default=0, help_text="How long the former secret worked after the last rotation."
    )
    access = models.CharField(
        max_length=10,
        choices=[
            (KeyAccess.FULL.value, gettext_lazy("Everything its account may do")),
            (KeyAccess.RUN.value, gettext_lazy("See everything and run templates")),
            (KeyAccess.READ.value, gettext_lazy("Only see")),
        ],
        default=KeyAccess.FULL,
    )
    # Not told by the templates themselves: when the last of them is deleted, the key sees none, and not all.
    is_bound = models.BooleanField(default=False, help_text="It sees and runs the templates below only.")
    templates = models.ManyToManyField("templates_app.RunTemplate", blank=True, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    audited: ClassVar = (
        *("user", "name", "description", "access", "is_bound", "expires_at", "revoked_at", "rotated_at"),
        "former_until",
    )

    # No column: the hash of the secret that this request was made with, or that its token was got with.
    hash_in_use: str = ""

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="api_key_name_per_user")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and not self.has_expired

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    def secret_hashes(self, now: datetime) -> list[str]:
        """Those of the secrets that work now: the newest, and the one before while its grace lasts."""
        has_grace = bool(self.former_hash) and self.former_until is not None and self.former_until > now
        return [self.secret_hash, self.former_hash] if has_grace else [self.secret_hash]


class DeviceLogin(Entity):
    """A program that asked to be signed in, and waits until a person confirms its code in the browser."""

    client_id = models.CharField(max_length=100)
    device_code_hash = models.CharField(max_length=64, unique=True)
    user_code = models.CharField(max_length=20, unique=True)
    status = models.CharField(
        max_length=20,
        choices=[(status.value, status.value) for status in DeviceLoginStatus],
        default=DeviceLoginStatus.WAITING,
    )
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)
    # What it says of itself, and where from: told to who confirms, and believed by nobody else.
    program = models.CharField(max_length=PROGRAM_LIMIT, blank=True)
    machine = models.CharField(max_length=NAME_LIMIT, blank=True)
    address = models.CharField(max_length=ADDRESS_LIMIT, blank=True)
    # Whom it counts for, of all that wait.
    network = models.CharField(max_length=ADDRESS_LIMIT, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["network", "created"], name="device_login_network")]

    def __str__(self) -> str:
        return self.user_code


class FailedTries(models.Model):
    """How often somebody has guessed wrong lately, by a hash of whom and what that is about."""

    key = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name_plural = "failed tries"

    def __str__(self) -> str:
        return f"{self.count} of {self.key[:12]}"


class BrowserSession(AbstractBaseSession):
    """A browser that is signed in. Without its row it is not."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="browser_sessions")
    started_at = models.DateTimeField(null=True)
    active_at = models.DateTimeField(null=True, help_text="When it asked for something last, to the minute.")
    address = models.CharField(max_length=ADDRESS_LIMIT, blank=True)
    browser = models.CharField(max_length=PROGRAM_LIMIT, blank=True)

    def __str__(self) -> str:
        return self.handle

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
        return store

    @property
    def handle(self) -> str:
        """What a page calls it by: its key would sign in whoever reads it there."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:16]


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: User) -> "AuditEventQuerySet":
        """All for administrators; for others what was done with the run templates that they own."""
        if not user.is_active:
            return self.none()
        if user.is_superuser and not user.is_bound:
            return self
        # They live in an app that accounts know nothing of.
        templates: Any = ApiKey.templates.field.related_model
        return self.filter(template_id__in=templates.objects.audited_by(user).order_by().values("pk"))

    def before(self, moment: datetime) -> "AuditEventQuerySet":
        return self.filter(created__lt=moment)

    def forget(self) -> int:
        """Remove these for good: what keeps to the time that the audit is kept for, and nothing else, calls it."""
        return int(super().delete()[0])

    def update(self, **values: object) -> NoReturn:
        raise NotAllowed(APPEND_ONLY)

    def delete(self) -> NoReturn:
        raise NotAllowed(APPEND_ONLY)

    def bulk_update(self, *args: object, **options: object) -> NoReturn:
        raise NotAllowed(APPEND_ONLY)


class AuditEvent(models.Model):
    """One thing that somebody did. It names who and what by value, so that it outlives both, and is never changed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    verb = models.CharField(max_length=30)  # AuditVerb
    # Who. Null: the server itself, or somebody who could not sign in.
    user_id = models.UUIDField(null=True)
    user_name = models.CharField(max_length=150, blank=True)
    api_key_id = models.UUIDField(null=True)
    api_key_name = models.CharField(max_length=NAME_LIMIT, blank=True)
    channel = models.CharField(max_length=20)  # AuditChannel
    address = models.CharField(max_length=ADDRESS_LIMIT, blank=True)
    # With what.
    noun = models.CharField(max_length=40)
    thing_id = models.CharField(max_length=64, blank=True)
    thing_name = models.CharField(max_length=255, blank=True)
    # The run template that it belongs to, whose owner may see it.
    template_id = models.UUIDField(null=True)
    project_id = models.UUIDField(null=True)
    # What it was and became, as far as that differs; null: nothing to tell.
    before = JSONField(null=True)
    after = JSONField(null=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-created"], name="audit_created"),
            models.Index(fields=["template_id", "-created"], name="audit_template_created"),
            models.Index(fields=["thing_id"], name="audit_thing"),
        ]

    def __str__(self) -> str:
        return f"{self.user_name or self.channel} {self.verb} {self.noun} {self.thing_name}"

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise NotAllowed(APPEND_ONLY)
        super().save(*args, **options)

    def delete(self, *args: object, **options: object) -> NoReturn:
        raise NotAllowed(APPEND_ONLY)

    @property
    def updated(self) -> datetime:
        """As every row of REST tells it."""
        return self.created


class KeyedRequest(models.Model):
    """One Idempotency-Key of one caller on one route, and what it made. Those that start runs are `runs_app`'s.

    It names whom and what by value: to lock either would make requests wait for each other that have nothing in common.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user_id = models.UUIDField()
    route = models.CharField(max_length=300)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64, help_text="With a key: the body may hold secrets.")
    made = models.CharField(max_length=100, blank=True, help_text="The id of what it made or changed.")
    created = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user_id", "route", "key"], name="one_request_per_caller_route_and_key"
            )
        ]

    def __str__(self) -> str:
        return self.key
