"""`zenweb completion`: the script that has a shell complete commands, options and names from the server."""

import os
import shlex
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

PROGRAM = "zenweb"
VARIABLE = "_ZENWEB_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
# Bash cuts words at `:` and `=`, which names of artifacts have: the words are read from the line itself, and what bash
# takes for the word before the cut is left out of the answers.
BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' line type value whole cut
    COMPREPLY=()
    whole="${COMP_LINE:0:COMP_POINT}"
    whole="${whole##*[[:space:]]}"
    cut="${COMP_WORDS[COMP_CWORD]}"
    [[ $cut == [:=] ]] && cut=""
    cut="${whole%%"$cut"}"
    while IFS=$'\t' read -r type value; do
        if [[ $type == file ]]; then
            compopt -o default
        elif [[ -n $value ]]; then
            COMPREPLY+=("$(printf '%%q' "${value#"$cut"}")")
            [[ $value == *= ]] && compopt -o nospace
        fi
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Click's, for words that bash would cut, and for names with blanks."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"]
        words = _words(line)[1:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type}\t{item.value}"

    @staticmethod
    def _check_version() -> None:
        """An old bash says itself that it does not know `-o nosort`."""


def _words(line: str) -> list[str]:
    """Also of a line in whose middle a quote is open."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:
        words.append(lexer.token)
    return words


add_completion_class(Bash)


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that has SHELL complete this program's commands, options and names.

    For bash: eval "$(zenweb completion bash)" in ~/.bashrc; for zsh the same in ~/.zshrc; for fish:
    zenweb completion fish > ~/.config/fish/completions/zenweb.fish
    """
    ctx = click.get_current_context()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no script for {shell}.")
    click.echo(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source(), nl=False)
