"""`@step`: a function that becomes a step of pipelines."""

from collections.abc import Callable
from typing import Any, Self, Unpack, overload

from zenweb.config.definition import Definition, P, R
from zenweb.config.draft import active_draft
from zenweb.config.options import StepOptions


class Step(Definition[P, R]):
    """A function of which each use in a pipeline runs in a process of its own.

    Called inside a pipeline function, it notes the use and returns what stands for its outputs; called anywhere else,
    it is the plain function.
    """

    kind = "step"
    known_options = StepOptions

    # The second form is what pipelines need beside the function's own: outputs of other steps in place of values,
    # parameters left to the run, and the keywords `after` and `id`.
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        draft = active_draft()
        return self.entrypoint(*args, **kwargs) if draft is None else draft.invoke(self, args, kwargs)

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
