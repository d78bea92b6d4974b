"""References to artifact versions in a run's parameters: may they be given, what they lead to, and what is in that."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runs_app.found_files import Rules, misfit
from runs_app.models import ArtifactVersion
from runs_app.plans import plan_of
from runs_app.run_configuration import ResolvedConfiguration
from templates_app.models import PipelineDeployment
from templates_app.schema_validation import pointer_to
from zenweb.accounts.models import User
from zenweb.config.file_references import FileReference, clean_name, reference_in, references_in, suffix_of
from zenweb.config.json_schema import FILE_RULES
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.protocol import GivenFile

Json = Any


def check_files(*, actor: User, deployment: PipelineDeployment, resolved: ResolvedConfiguration) -> None:
    """Raises ValidationFailed for each reference to something that is not there, not to be seen, or not taken there."""
    given = [
        (("steps", step.spec.name, "parameters", name), value)
        for step in resolved.steps
        for name, value in step.parameters.items()
        if next(references_in(value), None) is not None
    ]
    if not given:
        return
    schema = plan_of(deployment.pk).config_schema
    sections = schema["properties"]["steps"]["properties"]
    places = [
        place
        for path, value in given
        for place in _Places(schema).of(value, _parameter_schema(sections[path[1]], path[3]), path)
    ]
    ids = {place.reference.artifact_version for place in places}
    versions = {
        str(version.pk): version
        for version in ArtifactVersion.objects.visible_to(actor).with_relations().filter(pk__in=ids)
    }
    if errors := list(_errors(places, versions, is_remote=deployment.stack.is_remote)):
        raise ValidationFailed(errors)


def given_files(parameters: Json) -> dict[str, GivenFile]:
    """What the references among a step's parameters lead to, for the process that runs it."""
    ids = {reference.artifact_version for reference in references_in(parameters)}
    if not ids:
        return {}
    return {
        str(version.pk): GivenFile(
            id=version.pk,
            name=version.artifact.name,
            artifact_version=str(version.version),
            uri=version.uri,
            materializer=version.materializer,
            data_type=version.data_type,
            type=version.type,
            file_name=clean_name(str(name)) if (name := version.metadata.get("file_name")) else "",
        )
        for version in ArtifactVersion.objects.filter(pk__in=ids).select_related("artifact")
    }


def contents_of(parameters: Iterable[Json]) -> dict[str, Json]:
    """What decides about a step that is given these files: not which upload it was, but what is in it and its kind."""
    ids = {reference.artifact_version for each in parameters for reference in references_in(each)}
    if not ids:
        return {}
    versions = ArtifactVersion.objects.filter(pk__in=ids).values_list("pk", "metadata")
    return {
        str(pk): {"sha256": facts["sha256"], "suffix": suffix_of(str(facts.get("file_name", "")))}
        for pk, facts in versions
        if facts.get("sha256")
    }


def by_content(value: Json, contents: Mapping[str, Json]) -> Json:
    """The value with what references lead to in their place; others stay as they are."""
    return replaced(value, contents) if contents else value


def replaced(value: Json, found: Mapping[str, Any]) -> Any:
    """The value with each reference that leads to something replaced by that."""
    if (reference := reference_in(value)) is not None:
        return found.get(reference.artifact_version, value)
    if isinstance(value, dict):
        return {name: replaced(member, found) for name, member in value.items()}
    return [replaced(member, found) for member in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Place:
    """A reference in a configuration, and the rules of where it stands; several where a type is a choice."""

    path: tuple[str | int, ...]
    reference: FileReference
    rules: Rules


class _Places:
    """Walks through a value along its schema. Each part of the schema is looked at once per value, be it circular."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._seen: set[tuple[int, tuple[str | int, ...]]] = set()

    def of(self, value: Json, schema: Json, path: tuple[str | int, ...]) -> Iterator[Place]:
        if not isinstance(schema, dict) or (id(schema), path) in self._seen:
            return
        self._seen.add((id(schema), path))
        if FILE_RULES in schema and (reference := reference_in(value)) is not None:
            yield Place(path, reference, schema[FILE_RULES])
            return
        for branch in self._branches(schema):
            yield from self.of(value, branch, path)
        for name, member, part in _members(value, schema):
            yield from self.of(member, part, (*path, name))

    def _branches(self, schema: dict[str, Any]) -> Iterator[Json]:
        if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/$defs/"):
            name = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
            yield self._root.get("$defs", {}).get(name)
        for union in ("anyOf", "oneOf", "allOf"):
            yield from schema.get(union) or ()


def _members(value: Json, schema: dict[str, Any]) -> Iterator[tuple[str | int, Json, Json]]:
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from ((name, member, known.get(name, others)) for name, member in value.items())
    elif isinstance(value, list):
        first = schema.get("prefixItems", [])
        for index, member in enumerate(value):
            yield index, member, first[index] if index < len(first) else schema.get("items")


def _parameter_schema(section: dict[str, Any], name: str) -> Json:
    return section["properties"]["parameters"].get("properties", {}).get(name)


def _errors(
    places: Sequence[Place], versions: Mapping[str, ArtifactVersion], *, is_remote: bool
) -> Iterator[FieldError]:
    by_path: dict[tuple[str | int, ...], list[Place]] = {}
    for place in places:
        by_path.setdefault(place.path, []).append(place)
    for path, there in by_path.items():
        version = versions.get(there[0].reference.artifact_version)
        if version is None:
            sentence = (
                f"There is no artifact version {there[0].reference.artifact_version}: "
                "upload the file again, or choose another."
            )
            yield FieldError(pointer_to(path), sentence)
            continue
        misfits = [misfit(version, place.rules) for place in there]
        if all(misfits):
            yield FieldError(pointer_to(path), misfits[0])
        elif is_remote and _is_with_its_caller(version):
            sentence = (
                "This is kept where its run was executed, and no worker finds it there: upload it as a file."
            )
            yield FieldError(pointer_to(path), sentence)


def _is_with_its_caller(version: ArtifactVersion) -> bool:
    step = version.producer_step
    return step is not None and not step.run.stack.artifact_store_uri
