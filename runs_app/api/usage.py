"""REST for how a template is used."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.api.entities import describe_usage
from runs_app.models import PipelineRun
from runs_app.usage import DAYS, MOST_DAYS, usage_of
from templates_app.api.views import in_named_project
from templates_app.models import RunTemplate
from zenweb.api.listing import find, whole_number
from zenweb.api.operations import Parameter, operation


class TemplateUsage(APIView):
    """How often, by whom, how well and how fast a template ran within the last days."""

    @operation(
        "Tell how a template was used.",
        parameters=(
            Parameter(
                "days",
                "How far back.",
                {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DAYS},
            ),
        ),
        answer=shapes.Usage,
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find(
            in_named_project(RunTemplate.objects.visible_to(request.user), request),
            name_or_id,
            "run template",
        )
        days = whole_number(request.query_params, "days", DAYS, MOST_DAYS)
        usage = usage_of(template, PipelineRun.objects.visible_to(request.user), days)
        return Response(describe_usage(usage))
