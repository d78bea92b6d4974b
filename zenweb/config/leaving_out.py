"""Which lines of a script can be left out without its steps seeing other values than they would after a full run.

Nothing that might matter to a step counts as harmless: a script with such lines is refused, and not run in part.
"""

import ast
import builtins
import json
import logging
import math
import pprint
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, MutableMapping
from types import ModuleType
from typing import Any

from zenweb.config.definition import Definition
from zenweb.config.importing import Inert

LOGGING = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
CLIENTS = frozenset({"zenweb.client.Client", "zenweb.aio.client.AsyncClient"})
SHOWING_TOO = frozenset({"rich.print", "click.utils.echo"})
# They look at what they are given, or show it.
READING = (all, any, getattr, hasattr, isinstance, issubclass, len, print, repr, str)
COUNTING = (abs, bool, complex, divmod, float, int, max, min, pow, range, round, sum)
GATHERING = (bytes, dict, enumerate, format, frozenset, list, reversed, set, sorted, tuple, zip)
SHOWING = (logging.getLogger, json.dumps, pprint.pprint, pprint.pp)
WAITING = (time.sleep, time.time, time.perf_counter)
ENDING = (sys.exit, *(getattr(builtins, name) for name in ("exit", "quit") if hasattr(builtins, name)))
HARMLESS: tuple[Any, ...] = (*READING, *COUNTING, *GATHERING, *SHOWING, *WAITING, *ENDING)
HARMLESS_MODULES = (math, statistics)
NOT_RUN_BY_WORKERS = ('__name__ == "__main__"', "__name__ == '__main__'", "'__main__' == __name__")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Compound = ast.If | ast.While | ast.For | ast.Try | ast.With


class Remains:
    """What a module has so far, while more and more of its lines are left out."""

    def __init__(self, values: MutableMapping[str, Any]) -> None:
        self._values = values
        self._inert: set[str] = set()
        self._has_begun = False
        self.names: set[str] = set()
        """What was not defined."""

    def leave_out(self, statement: ast.stmt, *, has_begun: bool = False) -> ast.AST | None:
        """Take it as not run, or not to its end. What of it steps might miss unnoticed, if anything."""
        self._has_begun = has_begun
        return next(self._missed(statement), None)

    def may_assign(self, statement: ast.Assign | ast.AnnAssign) -> bool:
        """It defines something, and changes nothing that is there."""
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return all(self._is_free(each) for target in targets for each in _parts(target))

    def _is_free(self, target: ast.expr) -> bool:
        if isinstance(target, ast.Name):
            return target.id not in self._values or self._is_skipped(target)
        return self._is_skipped(target)

    def is_about_skipped(self, *expressions: ast.AST) -> bool:
        return any(
            self._is_skipped(node)
            or (isinstance(node, ast.Name) and node.id in self.names and node.id not in self._values)
            for expression in expressions
            for node in ast.walk(expression)
        )

    def ends_here(self, statement: ast.stmt) -> bool:
        """Whatever follows it is never run, in no process."""
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            return any(self._value(statement.value.func) is each for each in ENDING)
        return isinstance(statement, ast.Raise)

    def _missed(self, statement: ast.stmt) -> Iterator[ast.AST]:  # noqa: C901  # a case for each kind
        match statement:
            case ast.Pass() | ast.Break() | ast.Continue():
                pass
            case ast.ImportFrom(module=str(module), level=0) if self._has_from(module, statement.names):
                pass
            case ast.Expr() | ast.Assert() | ast.Raise():
                yield from self._effects(*ast.iter_child_nodes(statement))
            case ast.Assign(targets=targets, value=value):
                yield from self._effects(value)
                for target in targets:
                    yield from self._bound(target, value)
            case ast.AnnAssign(target=target, value=value):
                yield from self._effects(*([value] if value else []))
                yield from self._bound(target, value)
            case ast.AugAssign(target=target, value=value):
                yield from self._effects(value)
                if (
                    not isinstance(target, ast.Name)
                    or target.id not in self.names
                    or target.id in self._values
                ):
                    yield statement
            case ast.If(test=test) if _is_for_others(test):
                for each in statement.orelse:
                    yield from self._missed(each)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._function(statement)
            case ast.If() | ast.While() | ast.For() | ast.Try() | ast.With():
                yield from self._compound(statement)
            case _:
                yield statement

    def _has_from(self, module: str, names: Iterable[ast.alias]) -> bool:
        """To import them again would change nothing."""
        found = vars(sys.modules[module]) if module in sys.modules else {}
        return all(
            each.name in found and self._values.get(each.asname or each.name) is found[each.name]
            for each in names
        )

    def _compound(self, statement: Compound) -> Iterator[ast.AST]:
        before, passed = set(self.names), set[str]()
        heads = list(_heads(statement))
        is_about_skipped = self.is_about_skipped(*heads)
        if not isinstance(statement, ast.Try):
            yield from self._effects(*heads)
        if isinstance(statement, ast.For):
            passed = self._pass(statement) if self._has_begun else set()
            if not passed or any(hasattr(builtins, name) for name in passed):
                yield from self._bound(statement.target, statement.iter)
            yield from (
                part for part in _parts(statement.target) if passed and not isinstance(part, ast.Name)
            )
        for item in statement.items if isinstance(statement, ast.With) else ():
            if item.optional_vars:
                yield from self._bound(item.optional_vars, item.context_expr)
        for handler in statement.handlers if isinstance(statement, ast.Try) else ():
            yield from self._effects(*([handler.type] if handler.type else []))
            if handler.name and self._is_known(handler.name):
                yield handler
        for each in _inner(statement):
            yield from self._missed(each)
        if self.names - before - passed - self._inert and not is_about_skipped:
            yield statement
        self._forget(passed)

    def _pass(self, loop: ast.For) -> set[str]:
        """The names that a loop which has begun goes through its values with. Within it they stand for any of them."""
        names = {part.id for part in _parts(loop.target) if isinstance(part, ast.Name)}
        options = loop.iter.elts if isinstance(loop.iter, ast.Tuple | ast.List) else []
        if not (options and all(self._makes_pipeline(each) for each in options)):
            self._forget(names)
        if self._is_skipped(loop.iter):
            self._inert |= names
        return names

    def _forget(self, names: set[str]) -> None:
        """Who asks for one is told that it is not there, and gets no older value."""
        for name in names:
            self._values.pop(name, None)
        self.names |= names

    def _function(self, function: Function) -> Iterator[ast.AST]:
        for decorator in function.decorator_list:
            made_by = self._value(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if not str(getattr(made_by, "__module__", "")).startswith("zenweb."):
                yield decorator
        arguments = function.args
        yield from self._effects(*arguments.defaults, *(each for each in arguments.kw_defaults if each))
        if self._is_known(function.name):
            yield function
        self.names.add(function.name)

    def _bound(self, target: ast.expr, value: ast.expr | None) -> Iterator[ast.AST]:
        """Its value is not what it would be: of no matter where it has none or holds what was skipped."""
        is_skipped = value is not None and self._is_skipped(value)
        for part in _parts(target):
            if not isinstance(part, ast.Name):
                yield from self._effects(part)
                if not self._is_skipped(part):
                    yield part
            elif self._is_skipped(part):
                if not is_skipped:
                    yield part
            elif self._is_known(part.id):
                yield part
            elif is_skipped and part.id not in self.names:
                self._inert.add(part.id)
                self.names.add(part.id)
            else:
                self.names.add(part.id)

    def _effects(self, *expressions: ast.AST) -> Iterator[ast.AST]:
        for expression in expressions:
            nodes = list(ast.walk(expression))
            if any(self._is_shadowed(node) for node in nodes):
                yield expression
            members = set(self._members(nodes)) - self._inert
            self._inert |= members
            for node in nodes:
                is_done = isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom)
                if is_done or (isinstance(node, ast.Call) and not self._is_harmless(node)):
                    yield node
            self._inert -= members

    def _members(self, nodes: Iterable[ast.AST]) -> Iterator[str]:
        """The names that comprehensions have for what of a skipped call's result they go through."""
        for loop in nodes:
            if isinstance(loop, ast.comprehension) and self._is_skipped(loop.iter):
                for part in _parts(loop.target):
                    if isinstance(part, ast.Name) and not self._is_known(part.id):
                        yield part.id

    def _is_shadowed(self, node: ast.AST) -> bool:
        """Within it the name of something skipped stands for something else."""
        if isinstance(node, ast.Lambda):
            return any(
                self._is_skipped(ast.Name(each.arg))
                for each in ast.walk(node.args)
                if isinstance(each, ast.arg)
            )
        if isinstance(node, ast.comprehension) and not self._is_skipped(node.iter):
            return any(self._is_skipped(part) for part in _parts(node.target))
        return False

    def _is_harmless(self, call: ast.Call) -> bool:
        if any(each.arg == "key" and not isinstance(each.value, ast.Lambda) for each in call.keywords):
            return False
        if self._is_skipped(call) or self._makes_pipeline(call):
            return True
        function = call.func
        if isinstance(function, ast.Attribute):
            if isinstance(function.value, ast.Constant | ast.JoinedStr):
                return True
            owner = self._value(function.value)
            if any(owner is module for module in HARMLESS_MODULES):
                return True
            if function.attr in LOGGING and (owner is logging or self._is_logger(function.value)):
                return True
        called = self._value(function)
        if isinstance(called, type) and issubclass(called, BaseException):
            return True
        return _full_name(called) in SHOWING_TOO or any(called is each for each in HARMLESS)

    def _is_logger(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            return self._value(node.func) is logging.getLogger
        return isinstance(self._value(node), logging.Logger)

    def _is_skipped(self, node: ast.AST) -> bool:
        """A call that was or would be skipped, or something of its result."""
        match node:
            case ast.Name(id=name):
                return _is_of_skipped(self._values[name]) if name in self._values else name in self._inert
            case ast.Attribute(value=value) | ast.Subscript(value=value):
                return self._is_skipped(value)
            case ast.Call(func=function):
                return self._is_skipped(function) or self._starts(function)
        return False

    def _starts(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Attribute) and function.attr == "create_run_template":
            return self._makes_pipeline(function.value)
        called = self._value(function)
        return self._makes_pipeline(function) or (isinstance(called, type) and _full_name(called) in CLIENTS)

    def _makes_pipeline(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            return node.func.attr == "with_options" and self._makes_pipeline(node.func.value)
        value = self._value(node)
        return isinstance(value, Definition) and value.kind == "pipeline"

    def _value(self, node: ast.expr) -> Any:
        """What a name, or a name of a module's, stands for."""
        if isinstance(node, ast.Name):
            return self._values.get(node.id, getattr(builtins, node.id, None))
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            return vars(owner).get(node.attr) if isinstance(owner, ModuleType) else None
        return None

    def _is_known(self, name: str) -> bool:
        """Who asks for it gets an older value, or Python's own."""
        return name in self._values or hasattr(builtins, name)


def _is_of_skipped(value: Any) -> bool:
    """The result of a skipped call, or several of them."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, Inert) for each in value)
    return isinstance(value, Inert)


def _full_name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


def _is_for_others(test: ast.expr) -> bool:
    return ast.unparse(test) in NOT_RUN_BY_WORKERS


def _heads(statement: Compound) -> Iterator[ast.AST]:
    """What decides whether and how often its lines are run."""
    match statement:
        case ast.If(test=head) | ast.While(test=head) | ast.For(iter=head):
            yield head
        case ast.With(items=items):
            yield from (item.context_expr for item in items)
        case ast.Try(body=body):
            yield from body


def _inner(statement: Compound) -> Iterator[ast.stmt]:
    yield from statement.body
    if isinstance(statement, ast.Try):
        for handler in statement.handlers:
            yield from handler.body
        yield from statement.finalbody
    if not isinstance(statement, ast.With):
        yield from statement.orelse


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _parts(element)
    elif isinstance(target, ast.Starred):
        yield from _parts(target.value)
    else:
        yield target
