"""REST for whether this server runs a template."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.checking import Report, check_template
from templates_app.api.views import acting_user, find_run_template
from zenweb.api.envelope import Json
from zenweb.api.operations import operation


class TemplateCheck(APIView):
    @operation(
        "Tell whether this server runs a template, before an upgrade and after it.", answer=shapes.Check
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find_run_template(request, name_or_id)
        return Response(describe_report(check_template(template, acting_user(request))))


def describe_report(report: Report) -> Json:
    return {
        "name": report.template.name,
        "version": report.template.version.number,
        "runs": report.runs,
        "findings": [
            {"part": finding.part, "verdict": finding.verdict, "sentence": finding.sentence}
            for finding in report.findings
        ],
    }
