"""What REST answers about accounts, keys and signing in."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

from zenweb.api.shapes import Document, Entity, Moment, Named, Times
from zenweb.enums import AuditChannel, AuditVerb, KeyAccess, RoleWord


class ServerInfo(TypedDict):
    """Which server this is; most of it is there for ZenML's clients."""

    id: UUID
    name: str
    version: Annotated[str, Field(description="The version of ZenML's REST interface.", examples=["0.84.3"])]
    zenweb_version: Annotated[str, Field(examples=["0.1.0"])]
    active: Literal[True]
    debug: bool
    deployment_type: str
    database_type: str
    secrets_store_type: str
    auth_scheme: Literal["OAUTH2_PASSWORD_BEARER"]
    server_url: str
    dashboard_url: str
    analytics_enabled: Literal[False]
    metadata: Document
    last_user_activity: None
    pro_dashboard_url: None
    pro_api_url: None
    pro_organization_id: None
    pro_organization_name: None
    pro_workspace_id: None
    pro_workspace_name: None


class Token(TypedDict):
    access_token: str
    token_type: Literal["bearer"]
    expires_in: Annotated[int, Field(description="Seconds.", examples=[3600])]
    refresh_token: None
    csrf_token: None
    scope: None
    device_id: Annotated[UUID | None, Field(description="Of the API key that a confirmed code became.")]
    device_metadata: Document | None


class DeviceCode(TypedDict):
    """What a program shows, and asks `/login` with until it is confirmed."""

    device_code: str
    user_code: Annotated[str, Field(examples=["BCDF-GHJK"])]
    verification_uri: str
    verification_uri_complete: str
    expires_in: Annotated[int, Field(description="Seconds.", examples=[600])]
    interval: Annotated[int, Field(description="Seconds between two questions.", examples=[5])]


class ProjectFields(Times):
    display_name: str
    default_role: Annotated[str, Field(description="What everybody is there who was given no other role.")]


class ProjectMetadata(TypedDict):
    description: str


class Project(Named):
    name: Annotated[str, Field(examples=["default"])]
    body: ProjectFields
    metadata: ProjectMetadata | None
    resources: None


class RoleGrantFields(Times):
    role: RoleWord
    user: str | None
    group: str | None
    run_template_id: UUID | None
    project_id: UUID | None


class RoleGrant(Named):
    body: RoleGrantFields
    metadata: Document | None
    resources: None


class ServiceAccountFields(Times):
    full_name: str
    active: bool
    avatar_url: None


class ServiceAccountMetadata(TypedDict):
    description: str
    external_user_id: None


class ServiceAccount(Named):
    name: Annotated[str, Field(examples=["ci"])]
    body: ServiceAccountFields
    metadata: ServiceAccountMetadata | None
    resources: None


class ApiKeyFields(Times):
    key: Annotated[str | None, Field(description="The key itself: only when it has just been made.")]
    active: bool
    service_account: ServiceAccount
    expires_at: Moment | None
    access: KeyAccess


class ApiKeyMetadata(TypedDict):
    description: str
    retain_period_minutes: int
    last_login: Moment | None
    last_rotated: Moment | None
    templates: Annotated[list[str] | None, Field(description="Those that it is bound to; null: to none.")]


class ApiKey(Named):
    name: Annotated[str, Field(examples=["ci"])]
    body: ApiKeyFields
    metadata: ApiKeyMetadata | None
    resources: None


class AuditEventFields(Times):
    """Who did what, named by value: some of it may be gone."""

    verb: AuditVerb
    noun: Annotated[str, Field(examples=["run_template"])]
    thing_id: str | None
    thing_name: str
    user_id: UUID | None
    user_name: Annotated[str | None, Field(description="Null: the server itself, or nobody who is known.")]
    api_key_id: UUID | None
    api_key_name: str | None
    channel: AuditChannel
    address: str | None
    template_id: UUID | None
    project_id: UUID | None


class AuditEventMetadata(TypedDict):
    before: Document | None
    after: Document | None


class AuditEvent(Entity):
    body: AuditEventFields
    metadata: AuditEventMetadata | None
    resources: None
