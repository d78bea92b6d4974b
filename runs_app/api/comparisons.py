"""REST for what a version of a template takes back of what another one promised."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from runs_app.api import shapes
from runs_app.breakages import Comparison, compare_versions
from templates_app.api.versions import find_version
from templates_app.api.views import acting_user, find_run_template
from zenweb.api.envelope import Json
from zenweb.api.operations import Parameter, operation
from zenweb.enums import Role

FROM = Parameter("from", "A version, by its number or id; usually the one before.")
TO = Parameter("to", "Another one; usually the newest.")


class VersionComparison(APIView):
    @operation(
        "Tell what a version of a run template takes back, and whom that breaks.",
        parameters=(FROM, TO),
        answer=shapes.VersionComparison,
    )
    def get(self, request: Request, name_or_id: str) -> Response:
        template = find_run_template(request, name_or_id)
        query = request.query_params
        now = find_version(template, query.get("to") or str(template.version.number))
        before = find_version(template, query.get("from") or str(max(1, now.number - 1)))
        found = compare_versions(acting_user(request), before.used_by(Role.NOBODY), now.used_by(Role.NOBODY))
        return Response(describe_comparison(found))


def describe_comparison(found: Comparison) -> Json:
    return {
        "before": found.before,
        "now": found.now,
        "changes": [
            {
                "pointer": change.pointer,
                "place": change.place,
                "sentence": change.sentence,
                "breaks": change.breaks,
            }
            for change in found.changes
        ],
        "broken": [
            {
                "kind": each.kind,
                "name": each.name,
                "user": each.user,
                "channel": each.channel,
                "count": each.count,
                "errors": [{"pointer": error.pointer, "message": error.message} for error in each.errors],
            }
            for each in found.broken
        ],
    }
