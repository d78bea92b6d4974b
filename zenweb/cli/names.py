"""Names from the server for the shell to complete with: few, quickly or not at all, and never an error."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from zenweb.client import Client

MOST = 200
SECONDS = 1.0  # that a shell waits for us
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Found = TypeVar("Found")


def within(seconds: float, find: Callable[[], Found], otherwise: Found) -> Found:
    """What is found in this time; `otherwise` where that is too late, or where anything is wrong."""
    found: list[Found] = []

    def run() -> None:
        with suppress(Exception):  # whoever types is in the middle of a word
            found.append(find())

    thread = threading.Thread(target=run, daemon=True)  # the program does not wait for it
    thread.start()
    thread.join(seconds)
    return found[0] if found else otherwise


def completing(names: Callable[[Client, click.Context, str], Iterable[str]]) -> Complete:
    """What click asks for the rest of a word."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        known: list[str] = within(SECONDS, lambda: list(names(Client(), ctx, incomplete)), otherwise=[])
        typed = _typed_already(ctx)
        return [CompletionItem(name) for name in known if name.startswith(incomplete) and name not in typed][
            :MOST
        ]

    return complete


def listed(path: str) -> Callable[[Client, click.Context, str], Iterable[str]]:
    def names(client: Client, _: click.Context, incomplete: str) -> Iterable[str]:
        beginning = f"startswith:{incomplete}" if incomplete else None
        answer = client.transport.get(path, name=beginning, size=MOST, sort_by="desc:created")
        return dict.fromkeys(str(item["name"]) for item in answer["items"])

    return names


def steps_of_run(client: Client, ctx: click.Context, _: str) -> Iterable[str]:
    name = _name_before(ctx)
    return client.get_pipeline_run(name).steps if name else ()


def presets_of_template(client: Client, ctx: click.Context, _: str) -> Iterable[str]:
    name = _name_before(ctx)
    if name is None:
        return ()
    template = client.get_run_template(name, hydrate=False)
    answer = client.transport.get(f"{template.path}/{template.id}/presets", size=MOST)
    return [*(str(item["name"]) for item in answer["items"]), "last-good"]


def _name_before(ctx: click.Context) -> str | None:
    """What an option belongs to. While it has no value, click has not taken the words before it for anything."""
    given = [ctx.params.get("name"), *(ctx.params.get("names") or ()), *ctx.args]
    return next((word for word in given if word and not word.startswith("-")), None)


def _typed_already(ctx: click.Context) -> Iterable[Any]:
    return ctx.params.get("names") or ()


TEMPLATES = completing(listed("/run_templates"))
RUNS = completing(listed("/runs"))
PIPELINES = completing(listed("/pipelines"))
STACKS = completing(listed("/stacks"))
ARTIFACTS = completing(listed("/artifacts"))
SCHEDULES = completing(listed("/schedules"))
STEPS = completing(steps_of_run)
PRESETS = completing(presets_of_template)
