"""`zenweb stack`: where pipelines run."""

import click

from zenweb.cli.display import show_facts, show_table
from zenweb.client import Client
from zenweb.responses import StackResponse


@click.group("stack")
def command() -> None:
    """See and choose where pipelines run."""


@command.command("list")
def list_stacks() -> None:
    """List the server's stacks; the active one has an asterisk."""
    client = Client()
    active = client.active_stack
    rows = [
        ("*" if stack == active else "", stack.name, stack.orchestrator, stack.queue, _place(stack))
        for stack in client.list_stacks(hydrate=True, size=1000, sort_by="asc:name")
    ]
    show_table(("", "NAME", "ORCHESTRATOR", "QUEUE", "RUNS EXECUTE"), rows, empty="The server has no stack.")


@command.command("set")
@click.argument("name")
def set_stack(name: str) -> None:
    """Make the stack NAME the active one: pipelines run on it from now on."""
    stack = Client().activate_stack(name)
    click.echo(f"The active stack is {stack.name}: runs execute {_place(stack)}.")


@command.command("describe")
@click.argument("name", required=False)
def describe(name: str | None) -> None:
    """Show the stack NAME, or the active one."""
    client = Client()
    stack = client.get_stack(name) if name else client.active_stack
    show_facts(
        [
            ("name", stack.name),
            ("id", str(stack.id)),
            ("orchestrator", stack.orchestrator),
            ("runs execute", _place(stack)),
            ("queue", stack.queue),
            ("artifact store", stack.artifact_store_uri),
        ]
    )


def _place(stack: StackResponse) -> str:
    return "on workers" if stack.is_remote else "in the process that calls the pipeline"
