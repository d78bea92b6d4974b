"""The server's settings, but that whatever changed something is answered only when a minute is over."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from zenweb.settings import *  # noqa: F403
from zenweb.settings import MIDDLEWARE

MIDDLEWARE = ["tests.faults.late_answers.answer_late", *MIDDLEWARE]


def answer_late(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def wait(request: HttpRequest) -> HttpResponse:
        answered = answer(request)
        if request.method == "POST":
            time.sleep(60)
        return answered

    return wait
