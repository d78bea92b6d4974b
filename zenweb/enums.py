"""Words with a fixed meaning, shared by the SDK, the wire and the database."""

from enum import IntEnum, StrEnum
from typing import Literal


class ExecutionStatus(StrEnum):
    """What a run or a step is doing: ZenML 0.84's nine words, because its clients refuse others."""

    INITIALIZING = "initializing"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CACHED = "cached"
    RETRYING = "retrying"
    RETRIED = "retried"
    STOPPING = "stopping"
    STOPPED = "stopped"

    @property
    def is_finished(self) -> bool:
        """Whether nothing comes after it."""
        return self in FINISHED_STATUSES


FINISHED_STATUSES = frozenset(
    {
        ExecutionStatus.COMPLETED,
        ExecutionStatus.FAILED,
        ExecutionStatus.CACHED,
        ExecutionStatus.RETRIED,
        ExecutionStatus.STOPPED,
    }
)
OPEN_STATUSES = frozenset(ExecutionStatus) - FINISHED_STATUSES
HELD_STATUSES = frozenset({ExecutionStatus.RUNNING, ExecutionStatus.STOPPING})  # by an attempt


class ExecutionMode(StrEnum):
    """What becomes of a run when a step of it fails, in ZenML's words."""

    CONTINUE_ON_FAILURE = "continue_on_failure"  # what does not depend on the step is still done
    STOP_ON_FAILURE = "stop_on_failure"  # what runs may end, nothing new starts
    FAIL_FAST = "fail_fast"  # what runs is stopped as well


class ConcurrencyPolicy(StrEnum):
    """What becomes of one more run of a template that has as many at once as it may."""

    QUEUE = "queue"  # it waits until one of them has ended
    SKIP = "skip"  # it is not run
    CANCEL = "cancel"  # the oldest is stopped, and it starts when that has ended

    @property
    def words(self) -> str:
        """In a sentence: "further runs …"."""
        return _POLICY_WORDS[self]


_POLICY_WORDS = {
    ConcurrencyPolicy.QUEUE: "wait for their turn",
    ConcurrencyPolicy.SKIP: "are not run",
    ConcurrencyPolicy.CANCEL: "take the place of the oldest",
}


class StepProcess(StrEnum):
    """Where the process of an attempt comes from."""

    FORK = "fork"  # from a process that has imported the pipeline's module
    SPAWN = "spawn"  # from nothing: an interpreter that imports the module itself


class EnvironmentStatus(StrEnum):
    """How far an environment is."""

    MAKING = "making"
    READY = "ready"
    FAILED = "failed"


class PreparationKind(StrEnum):
    """What user code is asked before a run's first step."""

    CHOICES = "choices"  # what may be chosen for a parameter
    COMPILATION = "compilation"  # what the pipeline consists of with other parameters of its own


class PreparationStatus(StrEnum):
    """How far a question is that user code answers before a run's first step."""

    WAITING = "waiting"  # for a worker
    RUNNING = "running"
    ANSWERED = "answered"
    FAILED = "failed"


class Orchestrator(StrEnum):
    """Who executes the steps of a stack."""

    LOCAL = "local"  # the process that calls the pipeline
    CELERY = "celery"  # workers

    @property
    def is_remote(self) -> bool:
        """Whether workers execute, and not the caller's own process."""
        return self is not Orchestrator.LOCAL


class TriggerChannel(StrEnum):
    """Through which door a run was asked for."""

    PAGE = "page"
    REST = "rest"
    SDK = "sdk"
    CLI = "cli"
    ADMIN = "admin"
    PIPELINE = "pipeline"
    SCHEDULE = "schedule"

    @property
    def words(self) -> str:
        """The door in a sentence: "started through …"."""
        return _CHANNEL_WORDS[self]


_CHANNEL_WORDS = {
    TriggerChannel.PAGE: "the form",
    TriggerChannel.REST: "REST",
    TriggerChannel.SDK: "Python",
    TriggerChannel.CLI: "the command line",
    TriggerChannel.ADMIN: "the admin pages",
    TriggerChannel.PIPELINE: "another pipeline",
    TriggerChannel.SCHEDULE: "a schedule",
}


class AuditChannel(StrEnum):
    """Through which door something was done: a run's doors, and the server's own."""

    PAGE = "page"
    REST = "rest"
    SDK = "sdk"
    CLI = "cli"
    ADMIN = "admin"
    PIPELINE = "pipeline"
    SCHEDULE = "schedule"
    SERVER = "server"  # a management command, or housekeeping


class AuditVerb(StrEnum):
    """What was done, in the audit's words."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    ADD_VERSION = "add_version"
    START = "start"
    REPAIR = "repair"
    STOP = "stop"
    UPLOAD = "upload"
    NOTE_METADATA = "note_metadata"
    SIGN_IN = "sign_in"
    FAIL_TO_SIGN_IN = "fail_to_sign_in"
    SIGN_OUT = "sign_out"
    END_SESSIONS = "end_sessions"
    CHANGE_PASSWORD = "change_password"  # noqa: S105 a verb
    ROTATE = "rotate"
    CONFIRM = "confirm"
    REFUSE = "refuse"


class KeyAccess(StrEnum):
    """How much an API key may do of what its account may."""

    FULL = "full"
    RUN = "run"  # read, and run templates
    READ = "read"


class Role(IntEnum):
    """What somebody is to a run template or a project. Each may do what those below it may."""

    NOBODY = 0
    VIEWER = 10
    RUNNER = 20
    EDITOR = 30
    OWNER = 40

    @property
    def word(self) -> str:
        """As it is spelt on the wire."""
        return self.name.lower()

    @classmethod
    def spelt(cls, word: str) -> "Role":
        """Raises ValueError."""
        found = {role.word: role for role in cls}.get(word)
        if found is None:
            raise ValueError(f"there are the roles {', '.join(role.word for role in cls)}")
        return found


RoleWord = Literal["viewer", "runner", "editor", "owner"]
GRANTABLE = tuple(role for role in Role if role is not Role.NOBODY)


class DeviceLoginStatus(StrEnum):
    """How far a sign-in of a program is that a person confirms in the browser."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class DeviceLoginError(StrEnum):
    """Why a program gets no token, in the words of OAuth (RFC 8628)."""

    PENDING = "authorization_pending"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


class ArtifactType(StrEnum):
    """ZenML's kinds of artifact."""

    DATA = "DataArtifact"
    MODEL = "ModelArtifact"
    DATA_ANALYSIS = "DataAnalysisArtifact"
    SERVICE = "ServiceArtifact"
    STATISTICS = "StatisticsArtifact"
    SCHEMA = "SchemaArtifact"
    BASE = "BaseArtifact"


class PreviewKind(StrEnum):
    """How a page shows an artifact without loading it."""

    TABLE = "table"
    IMAGE = "image"
    FIGURE = "figure"
    """Of plotly, in its JSON: the page draws it."""
    HTML = "html"
    MARKDOWN = "markdown"
    JSON = "json"
    TEXT = "text"
