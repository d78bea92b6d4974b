"""`@pipeline`: a function that puts steps together, and what can be done with the whole."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack, cast, overload

from zenweb.config.definition import Definition, P, R
from zenweb.config.draft import active_draft, bound_arguments
from zenweb.config.importing import is_importing, skipped
from zenweb.config.options import PipelineOptions

if TYPE_CHECKING:
    from zenweb.config.spec import PipelineSpec
    from zenweb.responses import RunTemplateResponse


class Pipeline(Definition[P, R]):
    """A function that calls steps. Calling the pipeline runs it on the active stack.

    Inside another pipeline's function its steps become part of that one.
    """

    kind = "pipeline"
    known_options = PipelineOptions

    def __init__(
        self, entrypoint: Callable[P, R], options: Mapping[str, Any], origin: Self | None = None
    ) -> None:
        super().__init__(entrypoint, options, origin)
        self.prepared: dict[str, Any] = {} if origin is None else dict(origin.prepared)

    # The second form: parameters may have been given by `with_options` or `prepare`. Any: inside another pipeline
    # this returns what the function returns, else a PipelineRunResponse.
    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any: ...
    @overload
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it on the active stack and return the run: on workers without waiting, or in this process to the end."""
        if is_importing():
            return skipped(f"{self.name}()")
        given = self.arguments(*args, **kwargs)
        if active_draft() is not None:
            return cast(Any, self.entrypoint)(**given)
        from zenweb.deployment import run_pipeline  # noqa: PLC0415  # loads pydantic and httpx: decorating must not

        return run_pipeline(self, given)

    def create_run_template(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Sequence[str] | None = None,
        update: bool = False,
        stack: str | None = None,
        drop_misfits: bool = False,
    ) -> "RunTemplateResponse":
        """Freeze the pipeline with its code and make it a template that people run.

        A name that exists is refused, unless `update` makes a new version of it. `stack`: another than the active one.
        `drop_misfits`: where the form's fixed values and bounds do not fit the new version, it goes without them.
        """
        if is_importing():
            return cast("RunTemplateResponse", skipped(f"{self.name}.create_run_template({name!r})"))
        from zenweb.deployment import create_run_template  # noqa: PLC0415  # as in __call__

        return create_run_template(
            self,
            name=name,
            description=description,
            tags=tags,
            update=update,
            stack=stack,
            drop_misfits=drop_misfits,
        )

    def compile(self, *args: Any, **kwargs: Any) -> "PipelineSpec":
        """The pipeline as data: what its function does with which steps."""
        from zenweb.config.compiler import compile_pipeline  # noqa: PLC0415  # as in __call__

        return compile_pipeline(self, self.arguments(*args, **kwargs))

    def prepare(self, *args: Any, **kwargs: Any) -> Self:
        """Give this pipeline parameters now, for a later run or template."""
        self.prepared = self.arguments(*args, **kwargs)
        return self

    def arguments(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """All that code gave to this pipeline's parameters: here, or before by `prepare` and `with_options`."""
        given = bound_arguments(self.label, self.entrypoint, args, kwargs)
        return {**self.options.get("parameters", {}), **self.prepared, **given}

    def with_options(self, **options: Unpack[PipelineOptions]) -> Self:
        """A copy of this pipeline with some options changed."""
        return self._copy(options)

    def configure(self, **options: Unpack[PipelineOptions]) -> Self:
        """Change options of this very pipeline."""
        return self._change(options)


@overload
def pipeline(function: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(**options: Unpack[PipelineOptions]) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(function: Callable[..., Any] | None = None, /, **options: Unpack[PipelineOptions]) -> Any:
    """Make a pipeline of a function that calls steps: `@pipeline`, or with options `@pipeline(enable_cache=False)`."""
    return (
        Pipeline(function, options)
        if function is not None
        else lambda decorated: Pipeline(decorated, options)
    )
