"""Writes `zenweb/aio`, the SDK's client for event loops, from the client that waits: `python -m tools.asynchronous`.

Every function that asks the server, itself or through another, becomes a coroutine, and is awaited wherever it is
called; a generator of such becomes an asynchronous one. So each is written once. Where such functions are called is
found by their names, so none of them may bear the name of another method that is called in these modules.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODULES = (
    *("transport", "client", "responses/__init__", "responses/page", "responses/catalog"),
    *(
        "responses/run_templates",
        "responses/artifacts",
        "responses/runs",
        "responses/schedules",
        "responses/launching",
    ),
)
# Written by hand: what it does otherwise is not a matter of awaiting.
BY_HAND = "responses/entity"
HEADER = "# Written by `make docs` from zenweb/{module}.py: change that.\n"
# What the two forms call differently.
NAMES = {
    r"\bClient\b": "AsyncClient",
    r"\bTransport\b(?!Error)": "AsyncTransport",
    r"\bPool\b": "AsyncPool",
    r"\bBaseTransport\b": "AsyncBaseTransport",
    r"(?<=Callable\[\[int\], )Page\[EntityType\]": "Awaitable[Page[EntityType]]",
    r"\bcontent=file\b": "content=file.asynchronous()",
    r"\b__(enter|exit)__\b": r"__a\1__",
    r"\bcontextmanager\b": "asynccontextmanager",
    r"\btime\.sleep\b": "asyncio.sleep",
    r"\bresponse\.(read|close|iter_lines|iter_bytes)\b": r"response.a\1",
    r"(from|import) zenweb\.(client|transport|responses(?!\.facts\b))\b": r"\1 zenweb.aio.\2",
}
# What asks or waits at the bottom of it all, by how it is called.
AWAITED = re.compile(r"(http\.send|asyncio\.sleep|response\.(aread|aclose)|page\.turn)$")
VERBS = {"get", "post", "put", "delete", "request", "download", "close"}
OF_A_TRANSPORT = re.compile(r"(transport|_pool)$")
ENTERED = re.compile(r"(http\.stream|self\.opened|_pool\.lent)$")
GENERATORS = {"aiter_lines", "aiter_bytes", "stream"}
# What would stop the loop: the disk and the artifact store.
IN_A_THREAD = re.compile(r"(materializers\.load|file\.write|target\.read_bytes)$")
Function = ast.FunctionDef


@dataclass
class Edits:
    """Pieces of text to put in, by where."""

    text: str
    puts: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [0]
        for line in self.text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def put(self, line: int, column: int, text: str, replaced: int = 0) -> None:
        # ast counts in bytes.
        at = self._starts[line - 1]
        whole = self.text[at : self._starts[line]].encode()
        self.puts.append((at + len(whole[:column].decode()), replaced, text))

    def done(self) -> str:
        text = self.text
        for at, replaced, put in sorted(self.puts, key=lambda each: each[0], reverse=True):
            text = text[:at] + put + text[at + replaced :]
        return text


class Module:
    def __init__(self, text: str) -> None:
        for pattern, replacement in NAMES.items():
            text = re.sub(pattern, replacement, text)
        self.text, self.tree = text, ast.parse(text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))


class Translation:
    """All the modules together, since what one calls is defined in another."""

    def __init__(self, modules: dict[str, Module]) -> None:
        self.modules = modules
        self.coroutines, self.generators, self.properties = {"refresh"}, set(GENERATORS), set[str]()
        while self._learn():
            pass

    def text(self, name: str) -> str:
        module = self.modules[name]
        edits = Edits(module.text)
        for node in ast.walk(module.tree):
            self._change(module, node, edits)
        text = edits.done()
        if "asyncio." in text:
            text = text.replace('"""\n\n', '"""\n\nimport asyncio\n', 1)
        text = text.replace(
            "from collections.abc import ", "from collections.abc import AsyncIterator, Awaitable, "
        )
        return HEADER.format(module=name) + text

    def _learn(self) -> bool:
        """Whether another name was found to be one of those that ask."""
        before = len(self.coroutines) + len(self.generators) + len(self.properties)
        for module in self.modules.values():
            for function in module.functions():
                nodes = list(_own_nodes(function))
                asks = any(
                    self._is_awaited(node) or self._is_looped(node) or self._is_entered(node)
                    for node in nodes
                )
                hands_on = any(
                    isinstance(node, ast.Return) and self._is_generated(node.value) for node in nodes
                )
                if hands_on or (asks and any(isinstance(node, ast.Yield) for node in nodes)):
                    self.generators.add(function.name)
                elif asks and _is_property(function):
                    self.properties.add(function.name)
                elif asks and not function.name.startswith("__"):
                    self.coroutines.add(function.name)
        return before != len(self.coroutines) + len(self.generators) + len(self.properties)

    def _change(self, module: Module, node: ast.AST, edits: Edits) -> None:
        if isinstance(node, Function):
            self._change_function(node, edits)
        elif isinstance(node, ast.expr) and self._is_awaited(node) and not _is_within_lambda(module, node):
            self._await(module, node, edits)
        elif isinstance(node, ast.For | ast.With) and (self._is_looped(node) or self._is_entered(node)):
            edits.put(node.lineno, node.col_offset, "async ")

    def _change_function(self, function: Function, edits: Edits) -> None:
        nodes = list(_own_nodes(function))
        is_generator = function.name in self.generators
        if is_generator and function.returns is not None:
            edits.put(function.returns.lineno, function.returns.col_offset, "Async")
        asks = function.name in (self.coroutines | self.properties | {"__aenter__", "__aexit__"})
        if asks or (is_generator and any(isinstance(node, ast.Yield) for node in nodes)):
            edits.put(function.lineno, function.col_offset, "async ")

    def _await(self, module: Module, node: ast.expr, edits: Edits) -> None:
        parent = module.parents[node]
        bare = isinstance(parent, ast.Return | ast.Assign | ast.AnnAssign | ast.Expr | ast.keyword) or (
            isinstance(parent, ast.Call) and node is not parent.func
        )
        if isinstance(node, ast.Call) and IN_A_THREAD.search(ast.unparse(node.func)):
            function = ast.unparse(node.func)
            separator = ", " if node.args else ""
            edits.put(
                node.lineno,
                node.col_offset,
                f"await asyncio.to_thread({function}{separator}",
                len(function) + 1,
            )
            return
        edits.put(node.lineno, node.col_offset, "await " if bare else "(await ")
        if not bare:
            edits.put(node.end_lineno or 0, node.end_col_offset or 0, ")")

    def _is_awaited(self, node: ast.AST | None) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in self.properties and ast.unparse(node.value) in {"self", "run"}
        if not isinstance(node, ast.Call):
            return False
        called = ast.unparse(node.func)
        if AWAITED.search(called) or IN_A_THREAD.search(called):
            return True
        if isinstance(node.func, ast.Name):
            return node.func.id in self.coroutines
        if not isinstance(node.func, ast.Attribute):
            return False
        owner, method = ast.unparse(node.func.value), node.func.attr
        if method in VERBS or method == "load":
            return bool(OF_A_TRANSPORT.search(owner)) or (owner == "self" and method in self.coroutines)
        return method in self.coroutines

    def _is_generated(self, node: ast.AST | None) -> bool:
        if not isinstance(node, ast.Call):
            return False
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in self.generators and not ENTERED.search(ast.unparse(node.func))

    def _is_looped(self, node: ast.AST) -> bool:
        return isinstance(node, ast.For) and self._is_generated(node.iter)

    def _is_entered(self, node: ast.AST) -> bool:
        return isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call) and ENTERED.search(ast.unparse(item.context_expr.func))
            for item in node.items
        )


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """What is in a function and done when it is called: a lambda in it is not."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _is_within_lambda(module: Module, node: ast.AST) -> bool:
    while (parent := module.parents.get(node)) is not None:
        if isinstance(parent, ast.Lambda):
            return True
        node = parent
    return False


def _is_property(function: Function) -> bool:
    return any(
        isinstance(decorator, ast.Name) and decorator.id == "property"
        for decorator in function.decorator_list
    )


def written() -> dict[Path, str]:
    """Each file with what has to be in it."""
    names = {name: Module((ROOT / f"zenweb/{name}.py").read_text(encoding="utf-8")) for name in MODULES}
    translation = Translation(names)
    return {ROOT / f"zenweb/aio/{name}.py": _formatted(translation.text(name)) for name in MODULES}


def _formatted(text: str) -> str:
    for command in (["check", "--select=I,F401,RUF100", "--fix-only", "--quiet"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "zenweb/aio/x.py", "-"]
        text = subprocess.run(ruff, input=text, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text, encoding="utf-8")
