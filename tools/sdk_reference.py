"""Writes `docs/sdk.md`, the reference of the SDK, from its signatures and docstrings: `python -m tools.sdk_reference`.

By hand, and not with pdoc or mkdocstrings: what comes of it is one file of Markdown, read beside the other documents,
and what has no docstring is told instead of left empty.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs/sdk.md"
INTRODUCTION = """\
# The SDK, name by name

<!-- Written by `make docs` from the docstrings: change those. -->

```python
from zenweb.client import Client

with Client() as client:
    template = client.get_run_template("daily-retraining")
    run = template.run({"steps": {"trainer": {"parameters": {"learning_rate": 0.1}}}})
    run.wait(timeout=3600)  # seconds; a TimeoutError leaves the run going on
    print(run.status, run.status_reason)
    print(run.steps["trainer"].outputs["score"].load())
    for failed in client.list_pipeline_runs(status="failed").all():  # over all pages
        print(failed.name, failed.logs)
```

What can be imported and relied on. [running.md](running.md), [inside-a-step.md](inside-a-step.md) and their
neighbours tell what it is for. Errors are of one tree: `except zenweb.exceptions.ZenWebError` catches all that ZenWeb
raises on purpose, and `str(error)` is a sentence for a person.

What asks the server may raise `ServerUnreachable` (nobody answered, or the connection broke off),
`CredentialsNotValid`, `NotAllowed` (a role is missing; the sentence says which), `DoesNotExist` (or not for you to
see), `ValidationFailed` (with `errors`: a JSON pointer and a sentence for each place) and `ServerBusy`. A request is
sent again by itself, up to three times within about two seconds, where the connection failed: what must not be done
twice, such as starting a run or making a schedule, carries a key of its own, so it is done once. Waiting for an answer
ends after 30 seconds, for a file after 300.
"""
EVERYTHING = None
# Heading, what is to be known first, module, names (EVERYTHING: its `__all__`, or its public classes), with members.
Section = tuple[str, str, str, list[str] | None, bool]
SECTIONS: tuple[Section, ...] = (
    ("Writing pipelines", "`from zenweb import …`", "zenweb", EVERYTHING, True),
    ("What `@pipeline` makes", "", "zenweb.pipelines", ["Pipeline"], True),
    ("What `@step` makes", "", "zenweb.steps", ["Step"], True),
    ("Options of both", "", "zenweb.config.options", ["StepOptions", "PipelineOptions"], True),
    ("Inside a step", "What `get_step_context()` returns.", "zenweb.execution.context", ["StepContext"], True),
    ("The client", "`from zenweb.client import Client`", "zenweb.client", ["Client"], True),
    ("The client for event loops", "`from zenweb.aio import AsyncClient`", "zenweb.aio", ["AsyncClient"], False),
    ("What the client answers with", "`from zenweb.responses import …`", "zenweb.responses", EVERYTHING, True),
    (
        "What a run is started with",
        "`from zenweb.config.pipeline_run_configuration import PipelineRunConfiguration`. "
        "Plain dictionaries of the same shape will do everywhere.",
        "zenweb.config.run_configuration",
        ["PipelineRunConfiguration", "StepRunConfiguration"],
        True,
    ),
    ("Artifacts", "", "zenweb.artifacts.unmaterialized_artifact", ["UnmaterializedArtifact"], True),
    ("Texts that say what they are", "", "zenweb.artifacts.strings", EVERYTHING, True),
    ("Types of your own", "", "zenweb.artifacts.materializers", ["Materializer", "Unsuited"], True),
    ("Words with a fixed set", "`from zenweb.enums import …`", "zenweb.enums", EVERYTHING, True),
    ("Errors", "`from zenweb.exceptions import …`", "zenweb.exceptions", EVERYTHING, True),
)  # fmt: skip
# Not things of their own: names for types.
LEFT_OUT = {"EntityType"}
# Ours, however they are called.
NOT_FOR_USERS = {
    f"StepContext.{name}" for name in ("assignment", "emit", "notes", "calls", "count_call", "find_output")
}


@dataclass(frozen=True)
class Entry:
    """One name: how it is written, and what it is for."""

    path: str
    """`Client.get_pipeline_run`"""
    written: str
    words: str
    is_field: bool = False


def reference() -> str:
    parts = [INTRODUCTION]
    for heading, words, module, names, has_members in SECTIONS:
        parts.append(f"## {heading}\n")
        parts += [f"{words}\n"] if words else []
        parts += [] if has_members else [f"{_words(importlib.import_module(module).__doc__)}\n"]
        parts += [_shown(entries) for entries in _things(module, names, has_members)]
    return "\n".join(parts).rstrip() + "\n"


def undocumented() -> list[str]:
    """The public names that nobody has said anything about. Fields say it by their types."""
    return [
        entry.path
        for _, _, module, names, has_members in SECTIONS
        for entries in _things(module, names, has_members)
        for entry in entries
        if not entry.words and not entry.is_field
    ]


def _things(module: str, names: list[str] | None, has_members: bool) -> Iterator[list[Entry]]:
    home = importlib.import_module(module)
    for name in _names_of(module, names):
        if name in LEFT_OUT:
            continue
        thing = getattr(home, name)
        if inspect.isclass(thing):
            yield [_class_entry(name, thing), *(_members(name, thing) if has_members else ())]
        else:
            yield [_function_entry(name, thing)]


def _classes_of(home: Any) -> list[str]:
    return [
        name
        for name, value in vars(home).items()
        if inspect.isclass(value) and value.__module__ == home.__name__ and name[0] != "_"
    ]


def _shown(entries: list[Entry]) -> str:
    first, *members = entries
    lines = [f"### `{first.path}`\n"]
    lines += [f"`{first.written}`\n"] if first.written != first.path else []
    lines += [f"{first.words}\n"] if first.words else []
    for member in members:
        words = textwrap.indent(member.words, "  ").strip()
        lines.append(f"- `{member.written}`" + (f"<br>\n  {words}" if words else ""))
    return "\n".join(lines) + ("\n" if members else "")


def _class_entry(name: str, kind: type) -> Entry:
    bases = [base.__name__ for base in kind.__bases__ if base is not kind and _is_public(base)]
    written = f"{name}({', '.join(bases)})" if bases else name
    return Entry(name, written, _words(kind.__dict__.get("__doc__")))


def _function_entry(name: str, thing: Any) -> Entry:
    if not callable(thing) or not hasattr(thing, "__name__"):
        return Entry(name, name, _words(type(thing).__doc__))
    return Entry(name, f"{name}{_signature(_parsed(thing))}", _words(thing.__doc__))


def _members(owner: str, kind: type) -> Iterator[Entry]:
    """Its public fields, properties and methods, and those of its bases up to one that has an entry of its own."""
    seen = set[str]()
    for home in kind.__mro__:
        if home is not kind and _is_public(home):
            return
        if not home.__module__.startswith("zenweb."):
            continue
        body = _parsed(home).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            entry = _member(owner, node, after)
            if entry is not None and entry.path not in seen | NOT_FOR_USERS:
                seen.add(entry.path)
                yield entry


def _member(owner: str, node: ast.stmt, after: ast.stmt | None) -> Entry | None:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
        decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
        if "overload" in decorators or ("classmethod" in decorators and not node.name.startswith("from_")):
            return None  # the one that does it is described; the others are how we make them
        words = _words(ast.get_docstring(node))
        is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        kind = f": {ast.unparse(node.returns)}" if is_property and node.returns else _signature(node)
        return Entry(f"{owner}.{node.name}", f"{node.name}{kind}", words)
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
        written = f"{node.target.id}: {ast.unparse(node.annotation)}"
        if "ClassVar" in written and node.target.id in {"path", "http_status", "wire_class"}:
            return None
        return Entry(f"{owner}.{node.target.id}", written, _said_below(after), is_field=True)
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.isupper()
    ):
        written = f"{node.targets[0].id} = {ast.unparse(node.value)}"
        return Entry(f"{owner}.{node.targets[0].id}", written, _said_below(after), is_field=True)
    return None


def _said_below(node: ast.stmt | None) -> str:
    is_text = (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return _words(node.value.value) if is_text else ""  # type: ignore[union-attr]


@cache
def _parsed(thing: Any) -> Any:
    return _Plain().visit(ast.parse(textwrap.dedent(inspect.getsource(thing)))).body[0]


class _Plain(ast.NodeTransformer):
    """Annotations that stand in quotes, because their names come later, without these."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = _unquoted(node.annotation)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = _unquoted(node.annotation) or node.annotation
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = _unquoted(node.returns)
        return node


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _signature(node: Any) -> str:
    arguments = ast.unparse(node.args)
    for receiver in ("self, ", "cls, ", "self", "cls"):
        if arguments.startswith(receiver):
            arguments = arguments.removeprefix(receiver)
            break
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"({arguments}){returns}"


def _is_public(kind: type) -> bool:
    return any(
        kind.__module__.startswith(module) and kind.__name__ in _names_of(module, names)
        for _, _, module, names, _ in SECTIONS
    )


def _names_of(module: str, names: list[str] | None) -> list[str]:
    home = importlib.import_module(module)
    return names or getattr(home, "__all__", None) or _classes_of(home)


def _words(docstring: str | None) -> str:
    return inspect.cleandoc(docstring or "")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
