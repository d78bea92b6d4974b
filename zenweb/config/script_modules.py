"""Importing a script for its steps: what it would do with a run that is not started here is left out.

Scripts run a pipeline at their top level and then look at the run: they compare its status, leave with its exit code,
compute with what it gave out. Where a module is imported for execution the call is skipped, and so the first
line after it that cannot do without its result ends the script. Of what follows only what defines something is run.
Where anything else there might change what steps see, the script is refused: stale values would be wrong results.
"""

import ast
import linecache
import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from zenweb.config.importing import AsksForSkipped, is_importing, noticing_asks, noticing_skips
from zenweb.config.leaving_out import Remains
from zenweb.exceptions import AuthoringError

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


class RestIsNeeded(AuthoringError):
    """A script cannot end where it asks for what was skipped, since lines that are left out may matter to its steps."""


_left_out: dict[str, LeftOut] = {}


def watch_scripts() -> None:
    """From here on modules that are imported for execution may end early."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
        sys.meta_path.insert(place, _Finder())


def told_left_out() -> str:
    """For a step's log: which modules were not run to their end, a line each."""
    return "".join(f"{left_out}.\n" for name, left_out in list(_left_out.items()) if name in sys.modules)


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
        _left_out.pop(module.__name__, None)
        with noticing_skips() as skips, noticing_asks() as asks:
            try:
                super().exec_module(module)
                _refuse_caught(self.path, asks)
            except (SystemExit, AsksForSkipped) as error:
                _refuse_caught(self.path, asks[: -1 if isinstance(error, AsksForSkipped) else None])
                place = _place_in(module, error)
                if not skips or place is None:
                    raise
                left_out = LeftOut(self.path, place.line, _why(error, skips[-1]))
                self._leave_out_rest(module, left_out, place, has_left=isinstance(error, SystemExit))
                _left_out[module.__name__] = left_out
                logger.info("%s", left_out)

    def _leave_out_rest(
        self, module: ModuleType, left_out: LeftOut, place: "Place", *, has_left: bool
    ) -> None:
        """Of what stands there and below, run what defines something. Raises RestIsNeeded where more may matter."""
        body = ast.parse(self.get_data(self.path)).body
        futures = [each for each in body if isinstance(each, ast.ImportFrom) and each.module == "__future__"]
        remains = Remains(vars(module))
        for statement in body:
            if place.is_behind(statement):
                continue
            if has_left or not place.is_before(statement) or not isinstance(statement, DEFINING):
                _leave_out(statement, remains, left_out, has_begun=not place.is_before(statement))
            else:
                _define(statement, futures, module, remains, left_out)
            if has_left and not place.is_before(statement) and remains.ends_here(statement):
                break  # no process ever runs what is below
        left_out.names |= remains.names - set(vars(module))


def _needed(left_out: LeftOut, code: ast.AST) -> RestIsNeeded:
    name, line = Path(left_out.file).name, getattr(code, "lineno", left_out.line)
    written = linecache.getline(left_out.file, line).strip()
    return RestIsNeeded(
        f"{name} cannot be imported for its steps: from line {left_out.line} on it is not run, since {left_out.why}, "
        f"but line {line} (`{written:.100}`) may change what steps see. Put that line above the call that was skipped, "
        f"or {ADVICE}."
    )


def _refuse_caught(file: str, asks: Sequence[str]) -> None:
    """Whoever has caught that something is not known has gone on as if it were not so."""
    if asks:
        raise RestIsNeeded(
            f"{Path(file).name} cannot be imported for its steps: it asks for {asks[0]}, which was skipped, and "
            f"catches by `except:` or `except BaseException:` what ends it. Catch Exception, or put that {ADVICE}."
        )


@dataclass(frozen=True)
class Place:
    """Where in a file something happened; without a column if Python keeps none."""

    line: int
    column: int | None

    def is_behind(self, statement: ast.stmt) -> bool:
        return (statement.end_lineno or 0, statement.end_col_offset or 0) <= (self.line, self.column or 0)

    def is_before(self, statement: ast.stmt) -> bool:
        column = math.inf if self.column is None else self.column
        return (_first_line(statement), statement.col_offset) > (self.line, column)


def _place_in(module: ModuleType, error: BaseException) -> Place | None:
    """Where the module's top level was."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is not vars(module):
        trace = trace.tb_next
    if trace is None:
        return None
    positions = list(trace.tb_frame.f_code.co_positions())
    return Place(trace.tb_lineno, positions[trace.tb_lasti // 2][2])


def _define(
    statement: ast.stmt,
    futures: Sequence[ast.stmt],
    module: ModuleType,
    remains: Remains,
    left_out: LeftOut,
) -> None:
    """Run a definition for itself, unless it lacks what was left out."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and not remains.may_assign(statement):
        raise _needed(left_out, statement)
    code = compile(ast.Module([*futures, statement], []), left_out.file, "exec")
    try:
        exec(code, vars(module))  # noqa: S102  # the module's own code, as Python would run it
    except AsksForSkipped:
        _leave_out(statement, remains, left_out)
    except NameError as error:
        if error.name not in remains.names:
            raise
        _leave_out(statement, remains, left_out)


def _leave_out(statement: ast.stmt, remains: Remains, left_out: LeftOut, *, has_begun: bool = False) -> None:
    needed = remains.leave_out(statement, has_begun=has_begun)
    if needed is not None:
        raise _needed(left_out, needed)


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _why(error: BaseException, skipped: str) -> str:
    if isinstance(error, AsksForSkipped):
        return f"that line asks for {error}, which was skipped"
    said = f"{type(error).__name__}: {error}"
    return f"that line, after {skipped} was skipped, ended with {said:.300}"
