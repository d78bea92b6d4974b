"""`zenweb stack`: where pipelines run."""

import click

from zenweb.cli.names import STACKS
from zenweb.cli.output import Output, output_option
from zenweb.client import Client
from zenweb.responses import StackResponse


@click.group("stack")
def command() -> None:
    """See and choose where pipelines run."""


@command.command("list")
@output_option
def list_stacks(output: Output) -> None:
    """List the server's stacks; the active one has an asterisk."""
    client = Client()
    active = client.active_stack
    output.show_page(
        client.list_stacks(hydrate=True, size=1000, sort_by="asc:name"),
        ("", "NAME", "ORCHESTRATOR", "QUEUE", "RUNS EXECUTE"),
        lambda stack: (
            "*" if stack == active else "",
            stack.name,
            stack.orchestrator,
            stack.queue,
            _place(stack),
        ),
        empty="The server has no stack.",
    )


@command.command("set")
@click.argument("name", shell_complete=STACKS)
def set_stack(name: str) -> None:
    """Make the stack NAME the active one: pipelines run on it from now on."""
    stack = Client().activate_stack(name)
    click.echo(f"The active stack is {stack.name}: runs execute {_place(stack)}.")


@command.command("describe")
@click.argument("name", required=False, shell_complete=STACKS)
@output_option
def describe(name: str | None, output: Output) -> None:
    """Show the stack NAME, or the active one."""
    client = Client()
    stack = client.get_stack(name) if name else client.active_stack
    output.show_facts(
        stack,
        [
            ("name", stack.name),
            ("id", str(stack.id)),
            ("orchestrator", stack.orchestrator),
            ("runs execute", _place(stack)),
            ("queue", stack.queue),
            ("artifact store", stack.artifact_store_uri),
        ],
    )


def _place(stack: StackResponse) -> str:
    return "on workers" if stack.is_remote else "in the process that calls the pipeline"
