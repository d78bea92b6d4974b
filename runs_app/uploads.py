"""Files that people upload: kept as artifact versions, and offered by forms that ask for a file."""

import hashlib
import mimetypes
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from runs_app import statements
from runs_app.found_files import Rules, find_files, found_file, misfit
from runs_app.models import ArtifactVersion
from runs_app.querysets import UPLOADS
from templates_app.file_rules import too_large, wrong_type
from templates_app.models import RunTemplate
from templates_app.permissions import check_can_run, check_may_upload
from zenweb.accounts.audit import record_audit
from zenweb.accounts.models import Project, User
from zenweb.accounts.services import default_project
from zenweb.artifacts import store
from zenweb.artifacts.materializers.files import PATH_MATERIALIZER, address_for
from zenweb.config.file_references import FoundFile, clean_name
from zenweb.enums import ArtifactType, AuditVerb
from zenweb.exceptions import BodyTooLarge, MalformedRequest, NotAllowed, ValidationFailed
from zenweb.execution.protocol import StoredArtifact

CONTENT_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}")
UNKNOWN_TYPE = "application/octet-stream"
MOST_FOUND, MOST_LOOKED_AT = 20, 500
MOST_COMPARED = 100


def store_upload(
    *,
    actor: User,
    project: Project,
    name: str,
    content: Iterable[bytes],
    content_type: str = "",
    size: int | None = None,
    rules: Rules | None = None,
    is_once: bool = False,
) -> ArtifactVersion:
    """Store a file as a new version of the artifact of its name; `content` comes in pieces and is never held whole.

    `size` is what was announced, `rules` are those of the parameter that it is for. `is_once`: a file of this name and
    content that the actor has uploaded before is given back instead. Raises ValidationFailed for a file that is not
    taken there or is empty, BodyTooLarge for one that is too large; then nothing of it is kept.
    """
    check_may_upload(actor, project)
    name, rules = clean_name(name), rules or {}
    limit = _limit(rules)
    if sentence := wrong_type(name, rules.get("types", ())):
        raise ValidationFailed(sentence)
    if size is not None and size > limit:  # of a form's file only the beginning was kept
        raise BodyTooLarge(too_large(limit, name))
    version = uuid.uuid4()
    uri = store.join(settings.ARTIFACT_STORE_URI, UPLOADS, str(version))
    try:
        written = _write(address_for(uri, name), name, content, limit)
        kept = _record(
            actor, project, version, uri, name, written, _content_type(content_type, name), is_once
        )
    except BaseException:
        store.remove(uri)
        raise
    if kept != version:
        store.remove(uri)
    stored: ArtifactVersion = ArtifactVersion.objects.with_relations().get(pk=kept)
    return stored


class Upload(Protocol):
    """A file as a form has it: Django's UploadedFile."""

    name: str | None
    size: int | None
    content_type: str | None

    def chunks(self) -> Iterable[bytes]: ...


@dataclass(frozen=True)
class FormFiles:
    """What a form that asks for files needs to know and do, in the name of who fills it in."""

    user: User
    template: RunTemplate | None = None
    """What is run with them, if that is a template."""

    def find(self, ids: Iterable[str]) -> dict[str, FoundFile]:
        return find_files(self.user, ids)

    def search(self, text: str, rules: Rules) -> list[FoundFile]:
        """The newest that may be given to a parameter with these rules, if there is one whose name has this text."""
        versions = ArtifactVersion.objects.visible_to(self.user).with_relations().search(text)
        newest = (
            versions.suiting(rules["as"])
            .of_types(rules.get("types", ()))
            .order_by("-created")[:MOST_LOOKED_AT]
        )
        fitting = (found_file(version) for version in newest if not misfit(version, rules))
        return list(islice(fitting, MOST_FOUND))

    def store(self, upload: Upload, rules: Rules) -> FoundFile:
        """The same file sent twice is stored once, so that the same form sent twice is one run.

        Raises ValidationFailed, also for what is too large, and where the user may not run what it is for.
        """
        try:
            if self.template is not None:
                check_can_run(self.user, self.template)
            version = store_upload(
                actor=self.user,
                project=self.template.project if self.template else default_project(),
                name=upload.name or "",
                content=upload.chunks(),
                content_type=upload.content_type or "",
                size=upload.size,
                rules=rules,
                is_once=True,
            )
        except (BodyTooLarge, NotAllowed) as error:
            raise ValidationFailed(str(error)) from error
        return found_file(version)


@dataclass(frozen=True)
class Written:
    size: int
    sha256: str


def _write(uri: str, name: str, content: Iterable[bytes], limit: int) -> Written:
    digest, size = hashlib.sha256(), 0
    with store.writing(uri) as path, path.open("wb") as file:
        for piece in _pieces(content):
            size += len(piece)
            if size > limit:
                raise BodyTooLarge(too_large(limit, name))
            digest.update(piece)
            file.write(piece)
        if not size:
            raise ValidationFailed(
                gettext("%(name)s is empty: there is nothing in it to upload.") % {"name": name}
            )
    return Written(size, digest.hexdigest())


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Who breaks off has not sent a file; it is no fault of the artifact store."""
    try:
        yield from content
    except OSError as error:
        raise MalformedRequest("The upload broke off before its end: send the file again.") from error


@transaction.atomic
def _record(
    actor: User,
    project: Project,
    version: uuid.UUID,
    uri: str,
    name: str,
    written: Written,
    kind: str,
    is_once: bool,
) -> uuid.UUID:
    """The version that was recorded; with `is_once` perhaps one from before."""
    # This holds the artifact's row: of two that send the same file at once, the second finds the first one's.
    statements.add_version(
        version=version,
        project_id=project.pk,
        user_id=actor.pk,
        # In a name space of its own, or an upload called "model" would be the newest version of a pipeline's model.
        artifact_name=f"{UPLOADS}::{name}",
        stored=StoredArtifact(
            uri=uri,
            materializer=PATH_MATERIALIZER,
            data_type="pathlib.Path",
            type=ArtifactType.DATA.value,
            metadata={
                "string_representation": name,
                "storage_size": written.size,
                "file_name": name,
                "content_type": kind,
                "sha256": written.sha256,
            },
        ),
        producer_step_id=None,
        now=timezone.now(),
    )
    earlier = _stored_before(version, actor, name, written) if is_once else None
    if earlier is not None:
        transaction.set_rollback(True)
        return earlier
    record_audit(
        actor=actor,
        verb=AuditVerb.UPLOAD,
        thing=ArtifactVersion.objects.get(pk=version),
        after={"file_name": name, "size": written.size, "sha256": written.sha256},
    )
    return version


def _stored_before(version: uuid.UUID, actor: User, name: str, written: Written) -> uuid.UUID | None:
    """Another version of the artifact with this content that the actor has uploaded, if its file is there."""
    own = ArtifactVersion.objects.filter(artifact__versions=version, user=actor, producer_step=None)
    newest = own.exclude(pk=version).order_by("-version").values_list("pk", "uri", "metadata")[:MOST_COMPARED]
    found = next((row for row in newest if row[2].get("sha256") == written.sha256), None)
    return found[0] if found and store.exists(address_for(found[1], name)) else None


def _limit(rules: Rules) -> int:
    limits: list[int] = [settings.UPLOAD_LIMIT, *([rules["max_size"]] if rules.get("max_size") else [])]
    return min(limits)


def _content_type(said: str, name: str) -> str:
    plain = said.partition(";")[0].strip().lower()
    if CONTENT_TYPE.fullmatch(plain) and plain != UNKNOWN_TYPE:
        return plain
    return mimetypes.guess_type(name)[0] or UNKNOWN_TYPE
