"""What answers look like, for the description of REST: the parts that the shapes of all nouns are made of."""

from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar
from uuid import UUID

from pydantic import Field
from typing_extensions import TypedDict

Item = TypeVar("Item")
Document = dict[str, Any]
Moment = Annotated[
    str,
    Field(
        description="In UTC, without an offset.",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$",
        examples=["2026-11-29T06:30:00.000000"],
    ),
]


class Page(TypedDict, Generic[Item]):
    """Some of a list."""

    index: Annotated[int, Field(ge=1, examples=[1])]
    max_size: Annotated[int, Field(ge=1, examples=[20])]
    total_pages: Annotated[int, Field(ge=1, examples=[1])]
    total: Annotated[int, Field(ge=0, examples=[1])]
    items: list[Item]
    warnings: NotRequired[
        Annotated[list[str], Field(description="Filters that there are not, and that were ignored.")]
    ]


class Entity(TypedDict):
    """What is known by an id."""

    id: UUID
    permission_denied: Literal[False]


class Named(Entity):
    """What is known by an id and a name."""

    name: str


class Times(TypedDict):
    """When something was made and last changed."""

    created: Moment
    updated: Moment


class Owned(Times):
    """What the bodies of things that live in a project have in common."""

    user_id: UUID | None
    project_id: UUID


class Reference(Named):
    """A thing that another one names, without the rest of it."""

    name: Annotated[str, Field(examples=["training_pipeline"])]
    body: Owned
    metadata: None
    resources: None


class NamelessReference(Entity):
    """A deployment that another thing names, without the rest of it."""

    body: Owned
    metadata: None
    resources: None


class Source(TypedDict):
    """A place in code."""

    module: Annotated[str, Field(examples=["training"])]
    attribute: Annotated[str, Field(examples=["trainer"])]
    type: Literal["builtin", "internal", "unknown"]


class UserFields(Times):
    active: bool
    activation_token: None
    full_name: str
    email_opted_in: Literal[False]
    is_service_account: bool
    is_admin: bool
    default_project_id: UUID | None
    avatar_url: None


class UserMetadata(TypedDict):
    email: str | None
    external_user_id: None
    user_metadata: Document


class User(Named):
    """A person or a service account."""

    name: Annotated[str, Field(examples=["ada"])]
    body: UserFields
    metadata: UserMetadata | None
    resources: None


class TagFields(Times):
    user_id: UUID | None
    color: str
    exclusive: bool


class Tag(Named):
    name: Annotated[str, Field(examples=["nightly"])]
    body: TagFields
    metadata: None
    resources: None


class Place(TypedDict):
    """One thing that is wrong, and where."""

    pointer: Annotated[str, Field(description="JSON pointer into what was sent.", examples=["/name"])]
    message: str


class Problem(TypedDict, total=False):
    """Every error: its class, and a sentence that says what to do."""

    detail: Annotated[
        list[str] | str,
        Field(description="`[class, sentence]`; of an address that is no route a text."),
    ]
    errors: list[Place]
    error: Annotated[str, Field(description="While signing in by a code: the word that OAuth has for it.")]
    error_description: str
