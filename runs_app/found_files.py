"""Artifact versions that may be given where a file is asked for: what is told of them, and where their files lie."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from runs_app.models import ArtifactVersion
from runs_app.querysets import UPLOADS
from templates_app.file_rules import too_large, wrong_type
from zenweb.accounts.models import User
from zenweb.artifacts import store
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER, address_of
from zenweb.artifacts.previews import EXTRACT
from zenweb.artifacts.store import TooManyEntries
from zenweb.config.file_references import (
    FileReference,
    FoundFile,
    clean_name,
    reference_in,
    references_in,
)
from zenweb.exceptions import DoesNotExist, ValidationFailed

MOST_FILES = 10_000  # of one artifact that are handed out together
ENTRIES_PER_FILE = 4  # folders, links and other things beside each file that are passed over

Rules = Mapping[str, Any]
"""What a parameter says with the keyword `zenweb-file`."""
AS_WORDS = {
    "path": gettext_lazy("a file"),
    "bytes": gettext_lazy("a file or bytes"),
    "table": gettext_lazy("a file or a table"),
}


def found_file(version: ArtifactVersion) -> FoundFile:
    """What is told of a version, of `with_relations()`, where it is given to a parameter."""
    facts, is_file = version.metadata, is_single_file(version)
    name = facts.get("file_name") or (facts.get("string_representation") if is_file else "")
    size = facts.get("storage_size")
    return FoundFile(
        id=str(version.pk),
        name=str(name or version.artifact.name),
        size=size if isinstance(size, int) else None,
        version=version.version,
        made=version.created,
        is_upload="file_name" in facts,
        artifact=version.artifact.name,
        is_file=is_file,
    )


def find_files(user: User, ids: Iterable[str]) -> dict[str, FoundFile]:
    """Those of the versions that the user may see, by their ids; ids that are none are left out."""
    wanted = {reference.artifact_version for each in ids if (reference := reference_in(_as_reference(each)))}
    if not wanted:
        return {}
    versions = ArtifactVersion.objects.visible_to(user).with_relations().filter(pk__in=wanted)
    return {str(version.pk): found_file(version) for version in versions}


def files_in(user: User, value: Any) -> dict[str, FoundFile]:
    """What the references in a value lead to, as far as the user may see it."""
    return find_files(user, (reference.artifact_version for reference in references_in(value)))


def readable_address(version: ArtifactVersion) -> tuple[str, str]:
    """Where the file lies that a version is, and its name. Raises DoesNotExist where there is none to be had here."""
    if not is_single_file(version):
        raise DoesNotExist(gettext("This artifact is no file that could be downloaded."))
    root = root_of(version)
    if not root or not is_within(version.uri, root):
        raise DoesNotExist(
            gettext("This file is kept where its run was executed and cannot be had from here.")
        )
    address = address_of(version.uri, version.materializer)
    if address is None or not is_within(address, root):
        raise DoesNotExist(gettext("This file lies outside of the artifact store."))
    return address, clean_name(found_file(version).name)


def readable_folder(version: ArtifactVersion) -> tuple[str, list[str], str]:
    """Where what an artifact version is lies as several files, their paths from there, and what all of it is called.

    What a step made is nowhere else than below its run's folder: a step's process tells where, and is not believed.
    Raises DoesNotExist where there is nothing to be had here, ValidationFailed for too many files.
    """
    root, step = root_of(version), version.producer_step
    if not root or step is None or not is_within(version.uri, store.join(root, str(step.run_id))):
        raise DoesNotExist(
            gettext("This artifact is kept where its run was executed and cannot be had from here.")
        )
    folder = address_of(version.uri, version.materializer) or version.uri
    if not is_within(folder, version.uri):
        raise DoesNotExist(gettext("This file lies outside of the artifact store."))
    extract = _extract_of(version) if folder == version.uri else ""
    everything = store.files_below(folder, ENTRIES_PER_FILE * MOST_FILES)
    below = (path for path in everything if path != extract)
    try:
        paths = list(islice(below, MOST_FILES + 1))
    except TooManyEntries:
        paths = None
    if paths == []:
        raise DoesNotExist(gettext("There is no file in this artifact."))
    if paths is None or len(paths) > MOST_FILES:
        sentence = gettext("This has more than %(most)s files: read it where the artifact store is.")
        raise ValidationFailed(sentence % {"most": MOST_FILES})
    own_name = "" if folder == version.uri else folder.rpartition("/")[2]
    return folder, paths, clean_name(own_name or found_file(version).name)


def root_of(version: ArtifactVersion) -> str:
    """The artifact store that a version has to lie in: addresses come from step processes and callers."""
    step = version.producer_step
    if step is None:
        return store.join(settings.ARTIFACT_STORE_URI, UPLOADS)
    return step.run.stack.artifact_store_uri


def is_within(uri: str, root: str) -> bool:
    """Whether an address leads nowhere else, by its name, by dots or by a link."""
    path, folder = store.local_folder(uri), store.local_folder(root)
    if path is not None:
        return folder is not None and path.resolve().is_relative_to(folder.resolve())
    return uri.startswith(root.rstrip("/") + "/") and ".." not in uri.split("/")


def misfit(version: ArtifactVersion, rules: Rules) -> str:
    """Why a version cannot be given where these rules hold; empty if it can."""
    found, kind = found_file(version), rules["as"]
    if not version.suits(kind):
        return gettext("%(name)s is a %(data_type)s, and %(as_words)s is asked for.") % {
            "name": found.name,
            "data_type": version.data_type,
            "as_words": AS_WORDS[kind],
        }
    if version.materializer != PATH_MATERIALIZER:
        return ""
    if not found.is_file and (kind != "path" or rules.get("types")):
        return gettext("%(name)s is a folder, and a file is asked for.") % {"name": found.name}
    limit = rules.get("max_size")
    is_too_large = limit is not None and found.size is not None and found.size > limit
    return wrong_type(found.name, rules.get("types", ())) or (
        too_large(int(limit or 0), found.name) if is_too_large else ""
    )


def is_single_file(version: ArtifactVersion) -> bool:
    return version.materializer == PATH_MATERIALIZER and "file_count" not in version.metadata


def _extract_of(version: ArtifactVersion) -> str:
    """The file that was made for eyes only; where the value itself is shown, there is none."""
    shown = str((version.preview or {}).get("file", ""))
    return shown if shown.startswith(EXTRACT) else ""


def _as_reference(text: str) -> dict[str, str]:
    return FileReference(text).as_json()
