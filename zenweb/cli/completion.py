"""`zenweb completion`: the script that has a shell complete commands, options and names from the server."""

import os
import shlex
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)

PROGRAM = "zenweb"
VARIABLE = "_ZENWEB_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
# What stands before a value or a file that is completed has to stay: `--loader.data=@` of `--loader.data=@orders.csv`.
# Bash cuts words at `:` and `=`, which names of artifacts have: the words are read from the line itself, and what bash
# takes for the word before the cut is left out of the answers.
BASH = r"""
%(complete_func)s() {
    local IFS=$'\n' line type value whole cut path
    COMPREPLY=()
    whole="${COMP_LINE:0:COMP_POINT}"
    whole="${whole##*[[:space:]]}"
    cut="${COMP_WORDS[COMP_CWORD]}"
    [[ $cut == [:=] ]] && cut=""
    path="${cut#@}"
    cut="${whole%%"$cut"}"
    while IFS=$'\t' read -r type value; do
        if [[ $type == file && $whole == *@"$path" ]]; then
            compopt -o nospace
            for value in $(compgen -f -- "$path"); do
                [[ -d $value ]] && value="$value/" || value="$value "
                COMPREPLY+=("@$value")
            done
        elif [[ $type == file ]]; then
            compopt -o default
        elif [[ -n $value ]]; then
            COMPREPLY+=("$(printf '%%q' "${value#"$cut"}")")
            [[ $value == *= ]] && compopt -o nospace
        fi
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ZSH = r"""#compdef %(prog_name)s

%(complete_func)s() {
    local type key help
    local -a plain described response
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    [[ $PREFIX == --*=* ]] && compset -P '*='
    for type key help in ${response}; do
        if [[ $type == file ]]; then
            compset -P '@'
            _path_files -f
        elif [[ $type == dir ]]; then
            _path_files -/
        elif [[ $help == _ ]]; then
            plain+=("$key")
        else
            described+=("${key//:/\\:}:$help")
        fi
    done
    (( $#described )) && _describe -V unsorted described
    (( $#plain )) && compadd -V unsorted -a plain
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
FISH = r"""function %(complete_func)s
    set -l typed (commandline -ct)
    set -l before (string match -r -- '^(?:--[^=]*=)?' $typed)
    set -lx COMP_WORDS (commandline -cp)
    set -lx COMP_CWORD $typed
    for answer in (env %(complete_var)s=fish_complete %(prog_name)s 2>/dev/null)
        set -l parts (string split -m 1 , -- $answer)
        if test $parts[1] = plain
            string match -q -- '--*' $parts[2]; and echo $parts[2]; or echo $before$parts[2]
        else
            set before (string match -r -- '^(?:--[^=]*=)?@?' $typed)
            set -l path (string sub -s (math (string length -- $before) + 1) -- $typed)
            for found in (__fish_complete_path $path)
                echo $before$found
            end
        end
    end
end

complete --no-files --keep-order --command %(prog_name)s --arguments "(%(complete_func)s)"
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


class Zsh(ZshComplete):
    """Click's, which would put the value of `--flag=value` into the place of both."""

    source_template = ZSH

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type}\n{item.value}\n{item.help or '_'}"


class Fish(FishComplete):
    """Click's, which would cut at each comma, and know no `--flag=value`."""

    source_template = FISH


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


for kind_of_shell in (Bash, Zsh, Fish):
    add_completion_class(kind_of_shell)


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
