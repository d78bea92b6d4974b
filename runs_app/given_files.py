"""References to artifact versions in a run's parameters: may they be given, what they lead to, and what is in that."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext

from runs_app.found_files import Rules, misfit
from runs_app.models import ArtifactVersion, PipelineRun
from runs_app.plans import Runnable, deployment_of, rules_of
from runs_app.run_configuration import ResolvedConfiguration
from templates_app.schema_places import schemas_at, schemas_below
from zenweb.accounts.models import User
from zenweb.config.file_references import FileReference, clean_name, reference_in, references_in, suffix_of
from zenweb.config.json_schema import FILE_RULES
from zenweb.exceptions import FieldError, ValidationFailed
from zenweb.execution.protocol import GivenFile, InputArtifact
from zenweb.pointers import pointer_to

Json = Any


def check_files(*, actor: User, runnable: Runnable, resolved: ResolvedConfiguration) -> None:
    """Raises ValidationFailed for each reference to something that is not there, not to be seen, or not taken there."""
    given = [
        (("steps", step.spec.name, "parameters", name), value)
        for step in resolved.steps
        for name, value in step.parameters.items()
        if next(references_in(value), None) is not None
    ]
    if not given:
        return
    schema = rules_of(runnable).config_schema
    places = [
        place for path, value in given for place in _places(schema, value, schemas_at(schema, path), path)
    ]
    ids = {place.reference.artifact_version for place in places}
    versions = {
        str(version.pk): version
        for version in ArtifactVersion.objects.visible_to(actor).with_relations().filter(pk__in=ids)
    }
    if errors := list(_errors(places, versions, is_remote=deployment_of(runnable).stack.is_remote)):
        raise ValidationFailed(errors)


def given_files(run: PipelineRun, parameters: Json) -> dict[str, GivenFile]:
    """What the references among a step's parameters lead to, for the process that runs it: what its owner may see."""
    ids = {reference.artifact_version for reference in references_in(parameters)}
    if not ids or run.user is None:
        return {}
    versions = ArtifactVersion.objects.visible_to(run.user).filter(pk__in=ids).select_related("artifact")
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
        for version in versions
    }


def check_artifacts(*, actor: User, resolved: ResolvedConfiguration) -> None:
    """Raises ValidationFailed for each stored artifact that steps are to get and that is gone, or not to be seen."""
    wanted = {step.spec.name: step.spec.artifacts for step in resolved.steps if step.spec.artifacts}
    if not wanted:
        return
    ids = {version for artifacts in wanted.values() for version in artifacts.values()}
    there = set(ArtifactVersion.objects.visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True))
    sentence = gettext(
        "The pipeline hands this step the artifact version %(id)s, which is deleted or which you may not see."
    )
    errors = [
        FieldError(pointer_to(("steps", step, "parameters", name)), sentence % {"id": version})
        for step, artifacts in wanted.items()
        for name, version in artifacts.items()
        if version not in there
    ]
    if errors:
        raise ValidationFailed(errors)


def stored_artifacts(run: PipelineRun, wanted: Mapping[str, UUID]) -> dict[str, InputArtifact]:
    """The artifact versions that the pipeline hands to a step, by parameter: what the run's owner may see of them."""
    if not wanted or run.user is None:
        return {}
    versions = ArtifactVersion.objects.visible_to(run.user).filter(pk__in=wanted.values())
    found = {version.pk: version for version in versions.select_related("artifact")}
    return {
        name: InputArtifact(
            id=version.pk,
            name=version.artifact.name,
            artifact_version=str(version.version),
            uri=version.uri,
            materializer=version.materializer,
            data_type=version.data_type,
            type=version.type,
        )
        for name, pk in wanted.items()
        if (version := found.get(pk)) is not None
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
    """A reference in a configuration, and the rules for files of where it stands; several where a type is a choice."""

    path: tuple[str | int, ...]
    reference: FileReference
    rules: list[Rules]


def _places(
    root: dict[str, Any], value: Json, here: Sequence[dict[str, Any]], path: tuple[str | int, ...]
) -> Iterator[Place]:
    """The references in a value to which these schemas apply."""
    if (reference := reference_in(value)) is not None:
        yield Place(path, reference, [schema[FILE_RULES] for schema in here if FILE_RULES in schema])
        return
    for name, member in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(member, dict | list):
            yield from _places(root, member, schemas_below(root, here, name), (*path, name))


def _errors(
    places: Sequence[Place], versions: Mapping[str, ArtifactVersion], *, is_remote: bool
) -> Iterator[FieldError]:
    for place in places:
        version = versions.get(place.reference.artifact_version)
        if sentence := _misfit(place, version, is_remote=is_remote):
            yield FieldError(pointer_to(place.path), sentence)


def _misfit(place: Place, version: ArtifactVersion | None, *, is_remote: bool) -> str:
    """Why what a reference leads to cannot be given there; empty if it can."""
    if not place.rules:
        return gettext("No file is asked for here, so no artifact version can be given.")
    if version is None:
        return gettext(
            "There is no artifact version %(artifact_version)s: upload the file again, or choose another."
        ) % {"artifact_version": place.reference.artifact_version}
    misfits = [misfit(version, rules) for rules in place.rules]
    if all(misfits):
        return misfits[0]
    if is_remote and _is_with_its_caller(version):
        return gettext(
            "This is kept where its run was executed, and no worker finds it there: upload it as a file."
        )
    return ""


def _is_with_its_caller(version: ArtifactVersion) -> bool:
    step = version.producer_step
    return step is not None and not step.run.stack.artifact_store_uri
