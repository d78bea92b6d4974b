"""The audit as a table, for a spreadsheet or another system: piece by piece, however much there is."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.db.models import Q
from django.http import StreamingHttpResponse

from zenweb.accounts.models import AuditEventQuerySet
from zenweb.api.places import EXPORTING, SLOWEST, Places

AT_ONCE = 1_000  # rows that are held in memory
MOST_ROWS = 1_000_000
COLUMNS = (
    *("created", "user_name", "user_id", "verb", "noun", "thing_name", "thing_id", "channel", "address"),
    *("api_key_name", "api_key_id", "template_id", "project_id", "before", "after", "id"),
)
# A spreadsheet takes a text that begins so for a formula, and names are what people choose.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
EXPORTS = Places(EXPORTING, "Too many export the audit here at once. Ask again later.", slowest=SLOWEST)


def export(events: AuditEventQuerySet, who: object) -> StreamingHttpResponse:
    """These events, the newest first, to be saved. Raises ServerBusy. `who`: the account's primary key."""
    return StreamingHttpResponse(
        EXPORTS.seat(csv_of(events), who),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"},
    )


def csv_of(events: AuditEventQuerySet) -> Iterator[bytes]:
    """With a header. No query is left open while somebody reads slowly: each piece goes on behind the last."""
    yield _lines([COLUMNS])
    events, behind = events.order_by("-created", "-pk"), Q()
    for _ in range(MOST_ROWS // AT_ONCE):
        rows = list(events.filter(behind)[:AT_ONCE])
        if not rows:
            return
        yield _lines([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
        last = rows[-1]
        behind = Q(created__lt=last.created) | Q(created=last.created, pk__lt=last.pk)


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return json.dumps(value)
    if hasattr(value, "astimezone"):
        return str(value.astimezone(UTC).isoformat())
    text = str(value)
    return f"'{text}" if text.startswith(FORMULAS) else text
