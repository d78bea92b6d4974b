"""`@step`: a function that becomes a step of pipelines."""

from collections.abc import Callable
from typing import Any, Self, TypeVar, Unpack, cast, overload

from zenweb.config.definition import Definition, P, R
from zenweb.config.draft import Unmapped, active_draft, bound_arguments
from zenweb.config.options import StepOptions
from zenweb.config.signatures import declared_outputs
from zenweb.exceptions import AuthoringError

T = TypeVar("T")


class Step(Definition[P, R]):
    """A function of which each use in a pipeline runs in a process of its own.

    Called inside a pipeline function, it notes the use and returns what stands for its outputs; called anywhere else,
    it is the plain function.
    """

    kind = "step"
    known_options = StepOptions

    # The second form is what pipelines need beside the function's own: outputs of other steps in place of values,
    # parameters left to the run, and the keywords `after`, `id`, `when` and `unless`.
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        draft = active_draft()
        return self.entrypoint(*args, **kwargs) if draft is None else draft.invoke(self, args, kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step once for each element of lists: `train.map(region=regions(), rate=0.1)`.

        What other steps return is mapped over, and so are lists and tuples: the first run gets the first element of
        each, and so on, so they have to be equally long. Other values are the same for every run, as is all that
        stands in `unmapped(...)`. What it returns is a list in that order for a step that takes it, and for `map` an
        element each. `after`, `id`, `when` and `unless` are as in a call.
        """
        draft = active_draft()
        return (
            _mapped(self, args, kwargs) if draft is None else draft.invoke(self, args, kwargs, is_mapped=True)
        )

    def with_options(self, **options: Unpack[StepOptions]) -> Self:
        """A copy of this step with some options changed."""
        return self._copy(options)

    def configure(self, **options: Unpack[StepOptions]) -> Self:
        """Change options of this very step."""
        return self._change(options)


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(**options: Unpack[StepOptions]) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(function: Callable[..., Any] | None = None, /, **options: Unpack[StepOptions]) -> Any:
    """Make a step of a function: `@step`, or with options `@step(name="trainer", retry={"max_retries": 2})`."""
    return Step(function, options) if function is not None else lambda decorated: Step(decorated, options)


def unmapped(value: T) -> T:
    """A list, or what another step returns, that every run of a mapped step gets whole.

    `train.map(region=regions(), rates=unmapped([0.1, 0.2]))`.
    """
    return cast(T, Unmapped(value))


def _mapped(step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the plain function returns for each element; of several outputs, a list each."""
    arguments = bound_arguments(step.label, step.entrypoint, args, kwargs)
    lists = {name: value for name, value in arguments.items() if isinstance(value, list | tuple)}
    same = {
        name: value.value if isinstance(value, Unmapped) else value
        for name, value in arguments.items()
        if name not in lists
    }
    if len({len(value) for value in lists.values()}) != 1:
        told = ", ".join(f"{name} has {len(value)}" for name, value in lists.items())
        raise AuthoringError(
            f"{step.label} is mapped over lists that are equally long ({told or 'there is none'})."
        )
    rows = zip(*lists.values(), strict=True)
    results = [step.entrypoint(**same, **dict(zip(lists, row, strict=True))) for row in rows]
    outputs = declared_outputs(step.entrypoint)
    if len(outputs) < 2:
        return results
    return tuple([result[place] for result in results] for place in range(len(outputs)))
