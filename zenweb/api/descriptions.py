"""REST for REST's own description: as JSON, as YAML, and as a page to read and try."""

from django.http import HttpResponse
from django.shortcuts import render
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from zenweb.api.openapi import description_as_json, description_as_yaml
from zenweb.api.operations import NOT_JSON, TEXT, operation
from zenweb.api.shapes import Document


class Description(APIView):
    """It tells nothing of what is stored, so anybody may read it."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class JSONDescription(Description):
    @operation("Get this description.", answer=Document)
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(description_as_json(), content_type="application/json")


class YAMLDescription(Description):
    @operation(
        "Get this description as YAML.", answer=NOT_JSON, also={"application/yaml": {"type": "object"}}
    )
    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(description_as_yaml(), content_type="application/yaml")


class DescriptionPage(Description):
    authentication_classes = (SessionAuthentication,)  # what is tried there is done as whoever is signed in

    @operation("Read and try this in a browser.", answer=NOT_JSON, also={"text/html": TEXT})
    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "api_docs.html")
