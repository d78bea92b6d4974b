"""Importing a script for its steps: what it would do with a run that is not started here is left out.

Scripts run a pipeline at their top level and then look at the run: they compare its status, leave with its exit code,
compute with what it gave out. Where a module is imported for execution the call is skipped, and so the first
line after it that cannot do without its result ends the script. Of what follows only what defines something is run.
"""

import ast
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from zenweb.config.importing import AsksForSkipped, is_importing, noticing_skips

logger = logging.getLogger(__name__)
DEFINING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)
ADVICE = 'under `if __name__ == "__main__":`'


@dataclass
class LeftOut:
    """Of a module that was not run to its end: from which line on, why, and what has no value therefore."""

    file: str
    line: int
    why: str
    names: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{Path(self.file).name} was not run from line {self.line} on, but for what it defines there, since "
            f"{self.why}"
        )

    def about(self, name: str) -> str:
        """What to do about a name that was left out; else nothing."""
        if name not in self.names:
            return ""
        return f"{self}. Define {name!r} above that line, or put what a worker is not to run {ADVICE}."


_left_out: dict[str, LeftOut] = {}


def watch_scripts() -> None:
    """From here on modules that are imported for execution may end early."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(place, _Finder())


def about_missing(module: str, name: str) -> str:
    """Why a module that was imported for execution lacks a name, if it is because its rest was left out."""
    return _left_out[module].about(name) if module in _left_out else ""


def about_name_error(error: BaseException) -> str:
    """The same of a name that a function of such a module looked for in vain."""
    if not isinstance(error, NameError) or error.__traceback__ is None:
        return ""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return about_missing(trace.tb_frame.f_globals.get("__name__", ""), error.name or "")


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not is_importing():
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with noticing_skips() as skips:
            try:
                super().exec_module(module)
            except (Exception, SystemExit, AsksForSkipped) as error:
                line = _line_in(module, error)
                if not skips or line is None:
                    raise
                left_out = LeftOut(self.path, line, _why(error, skips[-1]))
                _left_out[module.__name__] = left_out
                self._define_the_rest(module, left_out, has_left=isinstance(error, SystemExit))
                logger.info("%s", left_out)

    def _define_the_rest(self, module: ModuleType, left_out: LeftOut, has_left: bool) -> None:
        """Run the definitions below, each for itself: what one lacks that was left out, others may do without."""
        body = ast.parse(self.get_data(self.path)).body
        futures = [each for each in body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
        for statement in body:
            if (statement.end_lineno or 0) < left_out.line:
                continue
            if _first_line(statement) > left_out.line and isinstance(statement, DEFINING) and not has_left:
                code = compile(ast.Module([*futures, statement], []), self.path, "exec")
                with suppress(Exception, SystemExit, AsksForSkipped):
                    exec(code, vars(module))  # noqa: S102  # the module's own code, as Python would run it
            left_out.names |= set(_names(statement)) - set(vars(module))


def _line_in(module: ModuleType, error: BaseException) -> int | None:
    """Where the module's top level was."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is not vars(module):
        trace = trace.tb_next
    return None if trace is None else trace.tb_lineno


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _why(error: BaseException, skipped: str) -> str:
    if isinstance(error, AsksForSkipped):
        return f"that line asks for {error}, which was skipped"
    said = f"{type(error).__name__}: {error}"
    return f"that line, after {skipped} was skipped, ended with {said:.300}"


def _names(statement: ast.stmt) -> Iterator[str]:
    """What it would have defined."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
