"""REST for a template as one document: what GET gives may be applied with PUT, here and on other servers."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.comparisons import describe_comparison
from runs_app.applying import Applied, Outcome, apply_template, with_comparison
from templates_app.api.views import (
    acting_user,
    find_run_template,
    in_project,
    project_for,
    visible_run_templates,
)
from templates_app.exports import document_of
from zenweb.api.envelope import Json
from zenweb.api.listing import find, flag
from zenweb.api.operations import DRY_RUN, PROJECT, Parameter, operation
from zenweb.api.parsing import DeploymentParser
from zenweb.api.repeats import acts_once
from zenweb.config.template_file import TemplateDocument, read_document
from zenweb.exceptions import FieldError, ValidationFailed

MANAGED_BY = Parameter("managed_by", "The set of template files that it belongs to from now on.")
IF_VERSION = Parameter(
    "if_version",
    "Only if this is the number of its newest version still; 0: only if there is no such template.",
    {"type": "integer", "minimum": 0},
)


def outcome_of(applied: Applied) -> str:
    """What of it is kept, so that it can be told again: `updated 3 new code`."""
    words = [applied.outcome, str(applied.version)]
    return " ".join(words + ["new"] * applied.is_new_version + ["code"] * applied.needs_code)


def applied_again(request: Request, made: str, name_or_id: str) -> Json:
    """What became of the template then, without what it was before: that is not there any more."""
    find(in_project(visible_run_templates(request), request), name_or_id, "run template")
    outcome, version, *more = made.split()
    return describe_applied(
        Applied(
            outcome=Outcome(outcome),
            name=name_or_id,
            version=int(version),
            is_new_version="new" in more,
            needs_code="code" in more,
        )
    )


def sent_document(request: Request, name_or_id: str) -> TemplateDocument:
    document = read_document(request.data if request.stream is not None else None)
    if document.name != name_or_id:
        sentence = f"This is a document of {document.name!r}, and {name_or_id!r} stands in the address."
        raise ValidationFailed([FieldError("/name", sentence)])
    return document


def tell_applied(request: Request, applied: Applied) -> Json:
    return describe_applied(with_comparison(acting_user(request), applied))


class TemplateDocumentDetail(APIView):
    parser_classes = (DeploymentParser,)

    @operation("Get a run template as one document.", answer=TemplateDocument)
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find_run_template(request, name_or_id)
        return Response(document_of(acting_user(request), template).to_json())

    @acts_once(applied_again, made=outcome_of, prepare=sent_document, tell=tell_applied)
    @operation(
        "Make a run template what a document says: a new one, or a new version where that is needed.",
        parameters=(DRY_RUN, MANAGED_BY, IF_VERSION, PROJECT),
        body=TemplateDocument,
        example={"format": 1, "name": "daily-retraining", "tags": ["nightly"]},
        answer=shapes.AppliedTemplate,
        errors=(409,),
    )
    def put(self, request: Request, document: TemplateDocument, name_or_id: str) -> Response:
        applied = apply_template(
            actor=acting_user(request),
            project=project_for(request, None),
            document=document,
            managed_by=request.query_params.get("managed_by") or None,
            if_version=number(request, "if_version"),
            dry_run=flag(request.query_params, "dry_run"),
        )
        return Response(applied)


def describe_applied(applied: Applied) -> Json:
    return {
        "outcome": applied.outcome,
        "name": applied.name,
        "version": applied.version,
        "is_new_version": applied.is_new_version,
        "needs_code": applied.needs_code,
        "changes": [
            {
                "pointer": change.pointer,
                **({} if change.before is ... else {"before": change.before}),
                **({} if change.now is ... else {"now": change.now}),
            }
            for change in applied.changes
        ],
        "notes": applied.notes,
        "comparison": describe_comparison(applied.comparison) if applied.comparison else None,
    }


def number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise ValidationFailed(f"{name} is a whole number, not {text[:100]!r}.")
    return int(text)
