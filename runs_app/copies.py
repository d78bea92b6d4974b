"""A run as text to copy: what starts one with the same values, from a shell, Python, CI, or a file."""

import io
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.utils.translation import gettext
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from runs_app.differences import changes, values_in, without_empty_steps
from runs_app.links import LONGEST, link_query
from runs_app.run_configuration import Configuration
from templates_app.models import RunTemplate
from templates_app.schema_forms.schemas import read_steps
from templates_app.schema_places import DROP, HIDDEN, replace_secrets

# Names that a shell, Python, a CI service or ZenWeb itself has another use for.
TAKEN_PREFIXES = ("ZENWEB_", "GITHUB_", "ACTIONS_", "RUNNER_", "CI_", "GITLAB_", "LD_", "PYTHON")


@dataclass(frozen=True)
class Secret:
    """Stands in a configuration where a secret was: the environment variable that it comes from."""

    path: tuple[str, ...]
    variable: str

    def __repr__(self) -> str:
        return f'os.environ["{self.variable}"]'


@dataclass(frozen=True)
class Snippet:
    """One text to copy."""

    key: str
    title: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Copies:
    """The same run in every form one may want it in."""

    link: str
    snippets: list[Snippet]
    secrets: list[Secret] = field(default_factory=list)

    @property
    def is_link_long(self) -> bool:
        return len(self.link) > LONGEST

    def __getitem__(self, key: str) -> str:
        return {snippet.key: snippet.text for snippet in self.snippets}[key]


def copies_of(
    template: RunTemplate, config_schema: Configuration, configuration: Mapping[str, Any]
) -> Copies:
    """Copies of a run with these values: with what differs from the defaults, and a reference for each secret."""
    values, secrets = _with_references(config_schema, changes(config_schema, configuration))
    query = link_query(config_schema, configuration)
    script = _curl(template, values, secrets)
    names = ", ".join(["ZENWEB_API_KEY", *(secret.variable for secret in secrets)])
    from_environment = gettext("It reads %(names)s from the environment.") % {"names": names}
    snippets = [
        Snippet("curl", "curl", script, from_environment),
        Snippet("python", "Python", _python(template, values, secrets), _signed_in(secrets)),
        Snippet("cli", gettext("Command line"), _command(template, values, secrets), _signed_in(secrets)),
        Snippet(
            "github",
            gettext("GitHub Actions step"),
            _github(template, script, secrets),
            _kept_by("GitHub", secrets),
        ),
        Snippet("gitlab", gettext("GitLab job"), _gitlab(template, script), _kept_by("GitLab", secrets)),
        Snippet(
            "yaml",
            "YAML",
            _yaml(values, secrets),
            gettext("For --config FILE, and for config_path in Python."),
        ),
    ]
    address = f"{settings.PUBLIC_URL}{template.get_absolute_url()}"
    return Copies(f"{address}?{query}" if query else address, snippets, secrets)


# -- values -----------------------------------------------------------------------------------------------------------


def _with_references(
    config_schema: Configuration, values: Configuration
) -> tuple[Configuration, list[Secret]]:
    """The values with each secret replaced by where it is to come from; those that are required are always there."""
    secrets: list[Secret] = []

    def refer(path: tuple[str, ...]) -> Secret:
        secrets.append(Secret(path, _variable(path, {secret.variable for secret in secrets})))
        return secrets[-1]

    for step in read_steps(config_schema):
        for parameter in step.parameters:
            if parameter.is_secret and parameter.is_required:
                section = values.setdefault("steps", {}).setdefault(step.name, {})
                section["parameters"] = {**section.get("parameters", {}), parameter.name: HIDDEN}
    replaced = replace_secrets(config_schema, values, refer)
    return replaced, secrets


def _variable(path: tuple[str, ...], taken: set[str]) -> str:
    """TRAINER_API_KEY for the parameter api_key of the step trainer."""
    words = [part for part in path if part not in {"steps", "parameters"}]
    name = re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper().encode("ascii", "ignore").decode()).strip("_")
    if not name[:1].isalpha() or name.startswith(TAKEN_PREFIXES):
        name = f"SECRET_{name}".rstrip("_")
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def _signed_in(secrets: list[Secret]) -> str:
    needs = gettext(
        "Needs “pip install zenweb”, and “zenweb login” once or ZENWEB_SERVER_URL and ZENWEB_API_KEY."
    )
    if not secrets:
        return needs
    reads = gettext("It reads %(names)s from the environment.")
    return f"{needs} {reads % {'names': ' '.join(secret.variable for secret in secrets)}}"


def _kept_by(whom: str, secrets: list[Secret]) -> str:
    names = ", ".join(["ZENWEB_API_KEY", *(secret.variable for secret in secrets)])
    words = gettext("Keep %(names)s as secrets of the repository.")
    if whom == "GitLab":
        words = gettext("Keep %(names)s as masked CI/CD variables of the project.")
    return words % {"names": names}


# -- texts ------------------------------------------------------------------------------------------------------------


def _curl(template: RunTemplate, values: Configuration, secrets: list[Secret]) -> str:
    address = f"{settings.PUBLIC_URL}/api/v1/run_templates/{quote(template.name, safe='')}/runs"
    call = (
        f"curl --fail-with-body --silent --show-error -X POST {shlex.quote(address)} \\\n"
        '  -H "Authorization: Bearer $ZENWEB_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
    )
    if not secrets:
        return f"{call}  --data-binary {shlex.quote(_json(values, indent=2))}\n"
    return _given_to(f"{call}  --data-binary @-", values, secrets)


def _given_to(command: str, values: Configuration, secrets: list[Secret]) -> str:
    """A script that gives a command the values with their secrets as JSON, and does not start it without them.

    Only a program can put a text into JSON so that no character of it does harm; `printf` is the shell's own, so no
    process list shows it. A CI service sets a secret that it does not have to an empty text. In a subshell a failure
    ends the script under `-e`, and does not close the terminal that it was copied into.
    """
    code = f"import json, os\nprint(json.dumps({_literal(values)}))\n"
    needed = "".join(f': "${{{secret.variable}:?}}" &&\n' for secret in secrets)
    body = f"body=$(python3 -c {shlex.quote(code)}) &&\n"
    return f"(\n{needed}{body}printf '%s' \"$body\" |\n{command}\n)\n"


def _python(template: RunTemplate, values: Configuration, secrets: list[Secret]) -> str:
    head = "import os\n\n" if secrets else ""
    return (
        f"{head}from zenweb.client import Client\n\n"
        "run = Client().trigger_pipeline(\n"
        f"    template_id={_literal(template.name)},\n"
        f"    run_configuration={_literal(values, 4)},\n"
        ")\nprint(run.url)\n"
    )


def _command(template: RunTemplate, values: Configuration, secrets: list[Secret]) -> str:
    name = template.name if not template.name.startswith("-") else str(template.pk)
    command = f"zenweb run-template run {shlex.quote(name)}"
    given = list(_given(values))
    if not all(map(_can_be_set, given)):
        return _given_to(f"{command} --config /dev/stdin", values, secrets)
    return " \\\n  ".join([command, *(_option(".".join(path), value) for path, value in given)]) + "\n"


def _given(values: Configuration) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value with its path, as `--set` names them."""
    for key, value in values.items():
        if key not in {"steps", "parameters"}:
            yield (key,), value
    for step, section in values.get("steps", {}).items():
        for key, value in section.items():
            if key != "parameters":
                yield ("steps", step, key), value
    yield from values_in(values)


def _can_be_set(given: tuple[tuple[str, ...], Any]) -> bool:
    """Whether the command line has a way to name this place, and can give the value in one piece."""
    path, value = given
    is_clear = path[-1].isidentifier() and ("parameters" in path or "." not in "".join(path))
    return is_clear and (isinstance(value, Secret) or not _has_secret(value))


def _option(path: str, value: Any) -> str:
    if isinstance(value, Secret):
        return f"--set-env {shlex.quote(f'{path}={value.variable}')}"
    return f"--set {shlex.quote(f'{path}={value if _is_plain(value) else _json(value)}')}"


def _github(template: RunTemplate, script: str, secrets: list[Secret]) -> str:
    names = ["ZENWEB_API_KEY", *(secret.variable for secret in secrets)]
    step = {
        "name": f"Run {_harmless_on_github(template.name)}",
        "env": {name: f"${{{{ secrets.{name} }}}}" for name in names},
        "run": LiteralScalarString(_harmless_on_github(script)),
    }
    return _dump([step])


def _harmless_on_github(text: str) -> str:
    """GitHub looks for expressions in scripts before any shell sees them: what looks like one becomes one."""
    return text.replace("${{", "${{ '${{' }}")


def _gitlab(template: RunTemplate, script: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", template.name.lower()).strip("-")[:60]
    job = {"image": "python:3.12", "script": [LiteralScalarString(script)]}
    return _dump({f"run-{slug or 'template'}": job})


def _yaml(values: Configuration, secrets: list[Secret]) -> str:
    kept = without_empty_steps(_without_references(values))
    comments = [f"# Not in here: --set-env {_one_line(secret)}\n" for secret in secrets]
    return "".join(comments) + (_dump(kept) if kept else "{}\n")


def _without_references(value: Any) -> Any:
    if isinstance(value, dict):
        members = {key: _without_references(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not DROP}
    if isinstance(value, list):
        entries = [_without_references(entry) for entry in value]
        return DROP if DROP in entries else entries
    return DROP if isinstance(value, Secret) else value


def _one_line(secret: Secret) -> str:
    """Without a line break, which would end the comment that it is in."""
    text = shlex.quote(f"{'.'.join(secret.path)}={secret.variable}")
    return "".join(character if character.isprintable() else "?" for character in text)


def _has_secret(value: Any) -> bool:
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, Secret) or any(map(_has_secret, members))


def _is_plain(value: Any) -> bool:
    """Whether `--set` reads this text as it stands."""
    if not isinstance(value, str) or not value.isprintable() or value.startswith("@"):
        return False  # an @ would name a file
    try:
        json.loads(value)
    except ValueError:
        return True
    return False


def _literal(value: Any, indent: int = 0) -> str:
    """A value as Python's source has it, a line for each member of what has names."""
    match value:
        case str():
            # As repr() writes it, but in the other quotes.
            inner = repr('"' + value)[2:-1].replace("\\'", "'")
            return f'"{inner.replace(chr(34), chr(92) + chr(34))}"'
        case dict() if value:
            below = indent + 4
            lines = [
                f"{' ' * below}{_literal(key)}: {_literal(member, below)},\n" for key, member in value.items()
            ]
            return f"{{\n{''.join(lines)}{' ' * indent}}}"
        case list():
            return f"[{', '.join(_literal(entry, indent) for entry in value)}]"
    return repr(value)


def _json(value: Any, indent: int | None = None) -> str:
    """JSON with its characters as they are, but those that one cannot see."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1]
        for character in text
    )


def _dump(content: Any) -> str:
    """YAML that reads back as the same, whatever characters are in it."""
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_with_quotes(content), stream)
    return stream.getvalue()


def _with_quotes(value: Any) -> Any:
    """What one cannot see goes into double quotes, where it is escaped: YAML takes some of it for line breaks."""
    if isinstance(value, LiteralScalarString) or (isinstance(value, str) and value.isprintable()):
        return value
    if isinstance(value, str):
        return DoubleQuotedScalarString(value)
    if isinstance(value, dict):
        return {_with_quotes(key): _with_quotes(member) for key, member in value.items()}
    return [_with_quotes(entry) for entry in value] if isinstance(value, list) else value
