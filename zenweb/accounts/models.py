"""Who acts (people and service accounts), with which key, and the project where things live."""

import uuid
from datetime import datetime
from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

from zenweb.entity import Entity


class User(AbstractUser):
    """A person or, with `is_service_account`, a machine that signs in with API keys only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    is_service_account = models.BooleanField(default=False)
    description = models.CharField(max_length=1000, blank=True)
    updated = models.DateTimeField(auto_now=True)

    @property
    def created(self) -> datetime:
        return self.date_joined


class Project(Entity):
    """A named space for pipelines, templates, runs and artifacts."""

    DEFAULT: ClassVar[str] = "default"

    name = models.CharField(max_length=200, unique=True)
    display_name = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: "datetime | models.Value | None" = None) -> "ApiKeyQuerySet":
        return self.filter(
            models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=now or timezone.now()),
            revoked_at__isnull=True,
            user__is_active=True,
        )


class ApiKey(Entity):
    """A random secret that signs its user in. Only its hash is kept; the text is shown once."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=1000, blank=True)
    # One SHA-256 is enough here: the secret has 256 random bits, there is nothing to guess.
    secret_hash = models.CharField(max_length=64)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "name"], name="api_key_name_per_user")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())
