"""A pipeline that is named on the command line: imported, put together, and what its author's function raises."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from zenweb.cli.template_flags import flags_of, own_spelt_out, spelt_out
from zenweb.cli.values import GivenValues
from zenweb.config.importing import importing_for_execution
from zenweb.config.signatures import declared_parameters
from zenweb.config.source import import_source
from zenweb.deployment import ReadyRun, ready_to_run
from zenweb.exceptions import ZenWebError
from zenweb.pipelines import Pipeline


class FunctionRaised(ZenWebError):
    """A pipeline's function raised an error of its author's."""


def imported(source: str) -> Pipeline[..., Any]:
    """The pipeline of `module.attribute`, found from the current folder. Raises SourceNotFound."""
    # A console script's path starts with its own folder; a user means the one they are in.
    sys.path.insert(0, str(Path.cwd()))
    with importing_for_execution():  # what stands at the module's top level must not act
        return import_source(source, Pipeline)


def ready_with(pipeline: Pipeline[..., Any], given: GivenValues, stack: str | None) -> ReadyRun:
    """Put together with its own parameters, among which its flags are known then."""
    given = given.spelt_out(partial(own_spelt_out, list(declared_parameters(pipeline.entrypoint))))
    ready = ready_to_run(
        pipeline, pipeline.arguments(), parameters=given.read().get("parameters"), stack=stack
    )
    return ready.given(given.spelt_out(partial(spelt_out, flags_of(ready.config_schema))).read())


@contextmanager
def telling_what_it_raises(pipeline: Pipeline[..., Any]) -> Iterator[None]:
    """While it is put together: what its function raises ends this program with a sentence and the author's frames."""
    try:
        yield
    except (ZenWebError, click.exceptions.Exit, click.ClickException, click.Abort):
        raise
    except (Exception, SystemExit) as error:
        own = _from_function(pipeline, error.__traceback__)
        if own is None:
            raise
        told = "".join(traceback.format_exception(type(error), error, own)).rstrip("\n")
        click.secho(told, dim=True, err=True)
        place = traceback.extract_tb(own)[-1]
        raise FunctionRaised(
            f"{pipeline.label} cannot be put together: its function raised {type(error).__name__} "
            f"({place.filename}, line {place.lineno}). Nothing was stored or started."
        ) from error


def _from_function(pipeline: Pipeline[..., Any], trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the pipeline's function on; None: it was not called."""
    while trace is not None and trace.tb_frame.f_code is not pipeline.entrypoint.__code__:
        trace = trace.tb_next
    return trace
