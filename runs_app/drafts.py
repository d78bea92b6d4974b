"""Run configurations that are still being written: read, and told apart from a template's defaults."""

from collections.abc import Callable, Iterator
from typing import Any

from django.utils.translation import gettext

from runs_app.run_configuration import Configuration, ResolvedConfiguration
from templates_app.schema_forms.schemas import MISSING, Parameter, read_steps
from templates_app.schema_places import DROP, HIDDEN, is_same, replace_secrets, without_secrets
from zenweb.config.yaml_text import YamlDocument, YamlRefused, read, write

# It takes a second or two to read so much, and nobody writes it by hand.
MOST_CHARACTERS = 60_000
PARAMETER_PATH = ("steps", "NAME", "parameters", "NAME")
EXAMPLE_LINES = 12


def resolved_for_reading(config_schema: Configuration, resolved: ResolvedConfiguration) -> Configuration:
    """What will run, with a stand-in for each secret."""
    shown: Configuration = replace_secrets(config_schema, resolved.as_json(), lambda _: HIDDEN)
    return shown


def without_secrets_in_text(config_schema: Configuration, configuration: Configuration) -> Configuration:
    """What a text that all can read says: no secret parameter, and null for a secret inside of a value.

    So each keeps its place, in which it is asked for, and a choice of several forms stays the one that was chosen.
    """
    written: Configuration = replace_secrets(
        config_schema, configuration, lambda path: DROP if len(path) == len(PARAMETER_PATH) else None
    )
    return written


def read_draft(text: str) -> YamlDocument:
    """A run configuration that somebody wrote as YAML. Raises YamlRefused."""
    if len(text) > MOST_CHARACTERS:
        raise YamlRefused(
            gettext(
                "YAML is taken here up to %(most_characters)s characters. Start larger "
                "configurations over REST or on the command line."
            )
            % {"most_characters": f"{MOST_CHARACTERS:,}"}
        )
    document = read(text)
    if document.value is not None and not isinstance(document.value, dict):
        raise YamlRefused(
            gettext("A run configuration is names with values, such as `steps:`."), document.line_of("")
        )
    return document


def changes(config_schema: Configuration, configuration: Configuration) -> Configuration:
    """What differs from the template's defaults."""
    defaults = {(step, parameter.name): parameter.default for step, parameter in _parameters(config_schema)}

    def differs(step: str, name: str, value: Any) -> bool:
        return not is_same(value, defaults.get((step, name), MISSING))

    return _with_parameters_that(differs, config_schema, configuration)


def everything(config_schema: Configuration, configuration: Configuration) -> Configuration:
    """The configuration with the defaults of all that it leaves out; secrets have none that could be shown."""
    given = dict(configuration.get("steps") or {})
    steps = Configuration()
    own = Configuration()
    for step in read_steps(config_schema):
        section = (
            given.pop(step.name, None) if step.name else {"parameters": configuration.get("parameters")}
        ) or {}
        rest = dict(section.get("parameters") or {})
        shown = {
            parameter.name: rest.pop(parameter.name, parameter.default)
            for parameter in step.parameters
            if parameter.name in rest or (parameter.has_default and not parameter.is_secret)
        }
        if not step.name:
            own = {"parameters": {**shown, **rest}}
        elif section or shown:
            steps[step.name] = {**section, "parameters": {**shown, **rest}}
    others = {key: value for key, value in configuration.items() if key != "steps"}
    return {**others, **own, "steps": {**steps, **given}}


def beside_the_form(config_schema: Configuration, configuration: Configuration) -> Configuration:
    """What the form has no field for: names, tags, settings, and what the template does not know."""
    known = {
        (step, parameter.name)
        for step, parameter in _parameters(config_schema)
        if not parameter.is_beside_the_form
    }
    return _with_parameters_that(
        lambda step, name, _: (step, name) not in known, config_schema, configuration
    )


def over(below: Configuration, above: Configuration) -> Configuration:
    """Two configurations as one; where both say something, the second does."""
    merged = dict(below)
    for key, value in above.items():
        before = merged.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            # Parameters are values: an object among them is taken whole.
            merged[key] = {**before, **value} if key == "parameters" else over(before, value)
        else:
            merged[key] = value
    return merged


def has_the_forms_shape(configuration: Configuration) -> bool:
    """Whether its steps and their parameters are named values, which a form could show."""
    if not isinstance(configuration.get("parameters"), dict | None):
        return False
    steps = configuration.get("steps")
    sections = steps.values() if isinstance(steps, dict) else [] if steps is None else [steps, "no step"]
    return all(
        section is None or (isinstance(section, dict) and isinstance(section.get("parameters"), dict | None))
        for section in sections
    )


def names_of(config_schema: Configuration, configuration: Configuration) -> list[str]:
    """What a configuration sets, as one would say it: “Rate” (Trainer), `run_name`, `steps.trainer.retry`."""
    titles = {
        (step.name, parameter.name): f"“{parameter.title}” ({step.title})"
        for step in read_steps(config_schema)
        for parameter in step.parameters
    }
    names = [key for key in configuration if key not in {"steps", "parameters"}]
    names += [titles.get(("", name), f"parameters.{name}") for name in configuration.get("parameters") or {}]
    for step, section in (configuration.get("steps") or {}).items():
        keys = [key for key in section or {} if key != "parameters"]
        names += [f"steps.{step}.{key}" for key in keys]
        given = (section or {}).get("parameters") or {}
        names += [titles.get((step, name), f"steps.{step}.parameters.{name}") for name in given]
        names += [f"steps.{step}"] if not section else []
    return names


def example(config_schema: Configuration) -> str:
    """What an empty editor starts with: how to write a value, as a comment."""
    asked = Configuration()
    for step, parameter in _parameters(config_schema):
        if step and parameter.is_required and not parameter.is_secret:
            asked.setdefault(step, {"parameters": {}})["parameters"][parameter.name] = "…"
    whole = without_secrets(config_schema, everything(config_schema, {"steps": asked}))
    told = {key: whole[key] for key in ("parameters", "steps") if whole.get(key)}
    if not told:
        head = gettext("No step here asks for anything. Other keys are possible, such as:")
        return f"# {head}\n# run_name: my run\n"
    lines = write(told).splitlines()[:EXAMPLE_LINES]
    head = gettext("Write here what shall differ from the defaults, such as:")
    return "\n".join([f"# {head}", *(f"# {line}" for line in lines), ""])


def _parameters(config_schema: Configuration) -> Iterator[tuple[str, Parameter]]:
    for step in read_steps(config_schema):
        for parameter in step.parameters:
            yield step.name, parameter


def _with_parameters_that(
    keep: Callable[[str, str, Any], bool], config_schema: Configuration, configuration: Configuration
) -> Configuration:
    """The configuration with those parameters only, and without steps of which nothing is left to say."""
    known, steps = {step.name for step in read_steps(config_schema)}, Configuration()
    given = configuration.get("parameters") or {}
    own = {name: value for name, value in given.items() if keep("", name, value)}
    for step, section in (configuration.get("steps") or {}).items():
        given = (section or {}).get("parameters") or {}
        kept = {name: value for name, value in given.items() if keep(step, name, value)}
        others = {key: value for key, value in (section or {}).items() if key != "parameters"}
        if kept or others or step not in known:
            steps[step] = {**({"parameters": kept} if kept else {}), **others}
    others = {key: value for key, value in configuration.items() if key not in {"steps", "parameters"}}
    return {**others, **({"parameters": own} if own else {}), **({"steps": steps} if steps else {})}
