"""REST for the form of a template: its curation is read and replaced as one document."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from templates_app.api import shapes
from templates_app.api.views import acting_user, find_run_template, run_template_again
from templates_app.services import curate_run_template
from zenweb.api.operations import operation
from zenweb.api.repeats import acts_once
from zenweb.api.shapes import Document


class RunTemplateCuration(APIView):
    """What GET gives may be sent to another template: exporting and importing are nothing else."""

    @operation("Get how a template's form is shaped.", answer=Document)
    def get(self, request: Request, name_or_id: str) -> Response:
        return Response(find_run_template(request, name_or_id).version.curation or {"version": 1})

    @acts_once(run_template_again)
    @operation(
        "Shape a template's form.",
        body=Document,
        is_body_required=True,
        example={"version": 1},
        answer=shapes.RunTemplate,
    )
    def put(self, request: Request, name_or_id: str) -> Response:
        template = curate_run_template(
            actor=acting_user(request),
            template=find_run_template(request, name_or_id),
            curation=request.data if request.stream is not None else None,  # an empty body says nothing
        )
        return Response(run_template_again(request, str(template.pk)))
