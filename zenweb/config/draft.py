"""The pipeline being put together: its function runs, and each step that it calls leaves a note instead of a result."""

import inspect
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn

from zenweb.config.definition import Definition
from zenweb.config.signatures import declared_outputs, declared_parameters
from zenweb.config.suggestions import suggestion
from zenweb.exceptions import AuthoringError

LOGGING_IT = logging.LogRecord.getMessage.__code__
# What a text holds that the `repr` of an output, or of a list of outputs, was written into.
IN_TEXT = re.compile(r"<output '[^']*' of step '[^']*'>|<what step '[^']*' will return>")


class Placeholder:
    """Stands in the pipeline function for what a step will return: it can be handed on, nothing else."""

    def __init__(self, step_name: str) -> None:
        self.step_name = step_name

    def __repr__(self) -> str:
        return f"<what step {self.step_name!r} will return>"

    def _refuse(self, *_: object) -> NoReturn:
        raise AuthoringError(
            f"{self._no_value} Hand it to another step, which gets the value; work with values inside of steps."
        )

    def _refuse_to_decide(self, *_: object) -> NoReturn:
        raise AuthoringError(
            f"{self._no_value} A step that shall run only in some cases says so where it is called: "
            "deploy(model, when=output), or when=(output, value)."
        )

    def __str__(self) -> str:
        # What is made of its text does not show that, and could be decided by, the same for every run.
        if sys._getframe(1).f_code is LOGGING_IT:
            return repr(self)
        raise AuthoringError(
            f"{self._no_value} Nor has it a text. To see in print what it stands for, say print(repr(output)); make "
            "texts of values inside of steps."
        )

    def __format__(self, _: str) -> str:
        return str(self)  # refused

    def __hash__(self) -> int:
        raise AuthoringError(
            f"{self._no_value} It cannot be looked for or kept in a set or dict: several go into a list, as in "
            "after=[one, other]. What depends on the value is decided inside of steps, or by when=(output, value)."
        )

    def _refuse_to_unfold(self, *_: object) -> NoReturn:
        raise AuthoringError(
            f"{self._no_value} To run a step once for each of its elements, say train.map(parameter=output)."
        )

    @property
    def _no_value(self) -> str:
        return f"What step {self.step_name!r} returns has no value yet while the pipeline is put together."

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and its tools probe for
            raise AttributeError(name)
        self._refuse()

    # Without these, `if output:`, `output == 3` and `output in {3}` would quietly take one branch for every run.
    __bool__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _refuse_to_decide
    __iter__ = __len__ = __getitem__ = _refuse_to_unfold
    __call__ = __int__ = __float__ = __index__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse


class StepOutput(Placeholder):
    """One output of a step."""

    def __init__(self, step_name: str, output_name: str) -> None:
        super().__init__(step_name)
        self.output_name = output_name

    def __repr__(self) -> str:
        return f"<output {self.output_name!r} of step {self.step_name!r}>"


class MappedOutput(StepOutput):
    """One output of all runs of a mapped step: a list for who takes it whole."""


class NoOutput(Placeholder):
    """A step that returns nothing. Still good for `after=`."""


@dataclass(frozen=True)
class Unmapped:
    """A value that every run of a mapped step gets whole."""

    value: Any


@dataclass(frozen=True)
class Wish:
    """What `when=` or `unless=` says."""

    keyword: str
    output: Any
    value: Any
    is_bare: bool
    """Only the output was given, which is true or false."""

    @classmethod
    def said(cls, keyword: str, given: Any) -> "Wish":
        if isinstance(given, tuple) and len(given) == 2:
            return cls(keyword, *given, is_bare=False)
        return cls(keyword, given, True, is_bare=True)


@dataclass(frozen=True)
class Invocation:
    """One use of a step in a pipeline."""

    name: str
    step: Definition[..., Any]
    arguments: Mapping[str, Any]
    """What the call gave: values, and outputs of earlier steps."""
    after: frozenset[str]
    """Names of steps that have to end before."""
    mapped: frozenset[str] = frozenset()
    """The arguments that have one element for each run of the step; none: it is not mapped."""
    wishes: tuple[Wish, ...] = ()
    """When it is to be run at all."""


class PipelineDraft:
    """The uses of steps so far, by the names they have in this pipeline."""

    def __init__(self) -> None:
        self.invocations: dict[str, Invocation] = {}
        self._names_made: Counter[str] = Counter()

    def invoke(
        self,
        step: Definition[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        is_mapped: bool = False,
    ) -> Any:
        """Note one call and return what stands for its result: one placeholder, or a tuple of them."""
        own = inspect.signature(step.entrypoint).parameters
        after = kwargs.pop("after", ()) if "after" not in own else ()
        wanted = kwargs.pop("id", None) if "id" not in own else None
        wishes = tuple(
            Wish.said(keyword, given)
            for keyword in ("when", "unless")
            if keyword not in own and (given := kwargs.pop(keyword, None)) is not None
        )
        name = self._free_name(step.name, wanted)
        arguments, names = _bound(step, args, kwargs), frozenset(self._names_in(after))
        mapped = _to_be_mapped(step, arguments) if is_mapped else frozenset[str]()
        arguments = {key: _unwrapped(value) for key, value in arguments.items()}
        self.invocations[name] = Invocation(name, step, arguments, names, mapped, wishes)
        return _placeholders(name, step, MappedOutput if is_mapped else StepOutput)

    def _names_in(self, after: Any) -> Iterator[str]:
        """The names that `after=` points to: a name, what a step returned, a step, or several of them."""
        if isinstance(after, tuple | list | set):
            for member in after:
                yield from self._names_in(member)
        elif isinstance(after, Placeholder):
            yield after.step_name
        elif isinstance(after, Definition):
            yield from self._uses_of(after)
        elif after is not None:
            yield str(after)  # perhaps of a step that comes later: checked when all are known

    def _uses_of(self, step: Definition[..., Any]) -> list[str]:
        names = [name for name, invocation in self.invocations.items() if invocation.step is step]
        if not names:
            raise AuthoringError(
                f"{step.label} is not used in this pipeline before the step that comes after it."
            )
        return names

    def _free_name(self, name: str, wanted: str | None) -> str:
        if wanted is not None and wanted in self.invocations:
            raise AuthoringError(f"There is already a step {wanted!r} in this pipeline: choose another `id`.")
        if wanted is not None:
            return wanted
        while True:
            self._names_made[name] += 1
            number = self._names_made[name]
            candidate = name if number == 1 else f"{name}_{number}"
            if candidate not in self.invocations:
                return candidate


_active: ContextVar[PipelineDraft | None] = ContextVar("zenweb_draft", default=None)


def active_draft() -> PipelineDraft | None:
    """The draft of the pipeline function that is running now, if one is."""
    return _active.get()


@contextmanager
def drafting() -> Iterator[PipelineDraft]:
    """While it lasts, calling a step notes it in the draft."""
    draft = PipelineDraft()
    token = _active.set(draft)
    try:
        yield draft
    finally:
        _active.reset(token)


def bound_arguments(
    owner: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments by parameter; some may be missing. An unknown keyword is named, with the one probably meant."""
    signature = inspect.signature(function)
    for keyword in kwargs:
        if keyword not in signature.parameters:
            hint = suggestion(keyword, signature.parameters)
            raise AuthoringError(f"{owner} has no parameter {keyword!r}.{hint}")
    try:
        return dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError as error:
        raise AuthoringError(f"{owner}: {error}.") from error


def _bound(step: Definition[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    declared_parameters(step.entrypoint)  # refuses a signature whose parameters have no names
    return bound_arguments(step.label, step.entrypoint, args, kwargs)


def _to_be_mapped(step: Definition[..., Any], arguments: Mapping[str, Any]) -> frozenset[str]:
    """The arguments that are lists, or will be: outputs of steps, and lists and tuples that are written down."""
    found = frozenset(
        name for name, value in arguments.items() if isinstance(value, StepOutput | list | tuple)
    )
    if not found:
        raise AuthoringError(
            f"{step.label} is mapped over nothing: hand it a list, or what another step returns. "
            "Other values, and those in unmapped(...), are the same for all its runs."
        )
    return found


def _unwrapped(value: Any) -> Any:
    return value.value if isinstance(value, Unmapped) else value


def _placeholders(name: str, step: Definition[..., Any], kind: type[StepOutput]) -> Any:
    outputs = [kind(name, output.name) for output in declared_outputs(step.entrypoint)]
    if not outputs:
        return NoOutput(name)
    return outputs[0] if len(outputs) == 1 else tuple(outputs)
