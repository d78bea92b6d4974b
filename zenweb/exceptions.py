"""Every error ZenWeb raises on purpose. The message is the sentence its reader sees; one place turns it into HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from zenweb.enums import DeviceLoginError


class ZenWebError(Exception):
    """Something ZenWeb can explain. `http_status` and `wire_class` say how REST answers it."""

    http_status: ClassVar[int] = 500
    wire_class: ClassVar[str] = "RuntimeError"


@dataclass(frozen=True)
class FieldError:
    """One thing that is wrong with a configuration, at one place in it."""

    pointer: str
    """JSON pointer from the configuration's root, such as `/steps/trainer/parameters/learning_rate`."""
    message: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class ValidationFailed(ZenWebError):
    """The input was understood but refused; `errors` names every place and reason at once."""

    http_status = 422
    wire_class = "ValueError"

    def __init__(self, errors: Sequence[FieldError] | str) -> None:
        self.errors = [FieldError("", errors)] if isinstance(errors, str) else list(errors)
        super().__init__("; ".join(str(error) for error in self.errors))


class MalformedRequest(ZenWebError):
    """The body could not be read at all."""

    http_status = 400
    wire_class = "ValueError"


class BodyTooLarge(ZenWebError):
    """The body is larger than this server accepts."""

    http_status = 413
    wire_class = "ValueError"


class LengthRequired(ZenWebError):
    """The body has to say beforehand how long it is."""

    http_status = 411
    wire_class = "ValueError"


class CredentialsNotValid(ZenWebError):
    """Nobody, or nobody known, is asking."""

    http_status = 401
    wire_class = "CredentialsNotValid"


class TooManyTries(CredentialsNotValid):
    """Somebody has guessed too often; the message says how long they have to wait."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.retry_after = seconds


class DeviceLoginUnfinished(ZenWebError):
    """A program that waits for a person to confirm its sign-in gets no token, or not yet; `reason` says why."""

    http_status = 400
    wire_class = "AuthorizationException"

    def __init__(self, reason: DeviceLoginError, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotAllowed(ZenWebError):
    """The caller may see this, but may not do that with it."""

    http_status = 403
    wire_class = "IllegalOperationError"


class FileNotUsable(ZenWebError):
    """A file or artifact that was given to a parameter cannot become what the step asks for."""

    http_status = 422
    wire_class = "ValueError"


class ChoicesNotUsable(ZenWebError):
    """What a provider of choices returned cannot be offered to anybody."""

    http_status = 422
    wire_class = "ValueError"


class DoesNotExist(ZenWebError):
    """There is no such thing, or the caller may not know that there is."""

    http_status = 404
    wire_class = "KeyError"


class EntityExists(ZenWebError):
    """The name is taken."""

    http_status = 409
    wire_class = "EntityExistsError"


class RangeNotSatisfiable(ZenWebError):
    """The file has none of the bytes that were asked for."""

    http_status = 416
    wire_class = "ValueError"

    def __init__(self, size: int) -> None:
        super().__init__(f"The file has {size} bytes, and none of those that were asked for.")
        self.size = size


class SecretUnreadable(ZenWebError):
    """A stored secret cannot be read any more; the message says why and what to do."""

    http_status = 422
    wire_class = "ValueError"


class ServerBusy(ZenWebError):
    """The server does as much of this at once as it can; the message says what to do meanwhile."""

    http_status = 503
    wire_class = "RuntimeError"
    retry_after: ClassVar[int] = 5


class CodeArchiveRefused(ValidationFailed):
    """The archive is too large, or holds something that must not be unpacked."""


class LocalStackRefused(ValidationFailed):
    """A template needs a stack whose runs execute on workers."""

    @classmethod
    def of(cls, stack: str, remote_stacks: Sequence[str]) -> "LocalStackRefused":
        return cls(
            f"Unable to create a run template on the local stack {stack!r}: its runs execute in the caller's own "
            "process. Choose a remote stack with `zenweb stack set NAME` or `--stack NAME`. "
            f"There is: {', '.join(remote_stacks) or 'none yet'}."
        )


class AuthoringError(ZenWebError, ValueError):
    """The pipeline's own code says something that cannot be frozen; the message names the step and parameter."""

    http_status = 422
    wire_class = "ValueError"


class SourceNotFound(AuthoringError):
    """No such module, or nothing of that name in it."""


class RealZenMLInstalled(ZenWebError):
    """The real ZenML is installed here, so `zenml` stays its name: zenweb.compat does nothing. Uninstall zenml, or use
    another environment, to have `from zenml import ...` mean ZenWeb."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class ServerUnreachable(ZenWebError):
    """No ZenWeb server answered at the configured address."""

    def __init__(self, message: str = "", idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key
        """Of a request for a run that may have got there: asked for again with this, the run starts once."""


class NotConnected(ZenWebError):
    """No server address or key is configured yet."""

    @classmethod
    def in_a_step(cls) -> "NotConnected":
        return cls(
            "This step's process knows no ZenWeb server, because its worker was not told where it is. Start the worker "
            "with ZENWEB_STEP_SERVER_URL in its environment: the address by which its machine reaches the server."
        )


class RunHasNoServer(NotConnected):
    """This run has no ZenWeb server: it is run from a file, with `--local`. What its step asks a server for
    (`Client()`, `trigger_pipeline`, `load_artifact` by an id) is there where the template is run on a server:
    import the file there with `zenweb run-template apply -f FILE`, and run it without `--local`."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class NoStepIsRunning(ZenWebError, RuntimeError):
    """Asked for the step's context outside of a step."""


class NotInThisStep(ZenWebError, RuntimeError):
    """The running step has no such output; the message says which there are."""


class StepFailed(ZenWebError):
    """A step of a run executed in this process raised; the cause is attached."""


class RequirementsMissing(ZenWebError):
    """This Python has not got the packages that a pipeline needs."""

    @classmethod
    def of(cls, missing: Sequence[str]) -> "RequirementsMissing":
        wanted = " ".join(f"'{each.partition(' (')[0]}'" for each in missing)
        return cls(
            f"This Python lacks what the pipeline needs: {', '.join(missing)}. "
            f"Install it, best into a virtual environment of its own: pip install {wanted}"
        )


class RunStopped(ZenWebError):
    """The run was stopped before all of its steps had run."""


class ParameterError(ZenWebError, ValueError):
    """Raised by a step that cannot work with the value of one of its parameters.

    `ParameterError("learning_rate", "too large for this data")`: whoever runs it again from its page finds the
    sentence at that field. For a place inside of a value, its path: `"options.depth"`.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(parameter, message)
        self.parameter, self.message = parameter, message

    def __str__(self) -> str:
        return f"{self.parameter}: {self.message}"


class NotAskedFor(ZenWebError, AttributeError):
    """A short answer did not say this; the message says how to ask for it."""
