"""How many runs there are of each kind, known without counting them.

The database keeps the counts itself (docs/decisions/0015): whatever changes a run adds rows to `RunCount` in the same
transaction, so they are exact at every moment and nobody waits for anybody. Housekeeping adds rows up that are alike.
"""
# ruff: noqa: S608  statements made of the models' own names

from hashlib import sha256
from typing import Any

from django.db import connection, transaction

from runs_app.models import PipelineRun, RunCount

# What decides who sees those that belong to no template is not told of others, so that fewer kinds differ.
KIND = {
    "project_id": "{run}.project_id",
    "status": "{run}.status",
    "pipeline_id": "{run}.pipeline_id",
    "template_id": "{run}.template_id",
    "is_restricted": "({run}.template_id IS NULL AND {run}.is_restricted)",
    "user_id": "CASE WHEN {run}.template_id IS NULL THEN {run}.user_id END",
}
RUNS, COUNTS = PipelineRun._meta.db_table, RunCount._meta.db_table
COLUMNS = ", ".join(KIND)
INTO = f"INSERT INTO {COUNTS} ({COLUMNS}, count)"
OLD, NEW = (", ".join(KIND.values()).format(run=run) for run in ("OLD", "NEW"))
ONE_MORE = f"{INTO} SELECT {NEW}, 1"
# Where nothing is counted there is nothing to take away: all tables are being emptied.
ONE_LESS = f"{INTO} SELECT {OLD}, -1 WHERE EXISTS (SELECT 1 FROM {COUNTS})"
FUNCTION = {
    "postgresql": f"""
        CREATE OR REPLACE FUNCTION runs_app_count_run() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP <> 'INSERT' THEN {ONE_LESS}; END IF;
            IF TG_OP <> 'DELETE' THEN {ONE_MORE}; END IF;
            RETURN NULL;
        END $$
    """,
    "sqlite": "",
}
DOES = {
    "postgresql": {
        "run_count": f"AFTER INSERT OR DELETE ON {RUNS} FOR EACH ROW EXECUTE FUNCTION runs_app_count_run()",
        "run_recount": f"AFTER UPDATE ON {RUNS}"
        f" FOR EACH ROW WHEN (({OLD}) IS DISTINCT FROM ({NEW})) EXECUTE FUNCTION runs_app_count_run()",
    },
    "sqlite": {
        "run_count": f"AFTER INSERT ON {RUNS} BEGIN {ONE_MORE}; END",
        "run_uncount": f"AFTER DELETE ON {RUNS} BEGIN {ONE_LESS}; END",
        "run_recount": f"AFTER UPDATE OF {COLUMNS} ON {RUNS}"
        f" WHEN ({OLD}) IS NOT ({NEW}) BEGIN {ONE_LESS}; {ONE_MORE}; END",
    },
}


def triggers(vendor: str) -> dict[str, str]:
    """What has to count, by names that change with anything that it does: then it is made anew."""
    version = sha256(f"{FUNCTION[vendor]} {DOES[vendor]}".encode()).hexdigest()[:8]
    return {f"{name}_{version}": does for name, does in DOES[vendor].items()}


INSTALLED = {
    "postgresql": f"SELECT tgname FROM pg_trigger WHERE tgrelid = '{RUNS}'::regclass AND NOT tgisinternal",
    "sqlite": f"SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{RUNS}'",
}
REMOVE_TRIGGER = {"postgresql": f"DROP TRIGGER {{name}} ON {RUNS}", "sqlite": "DROP TRIGGER {name}"}
HOLD_RUNS = f"LOCK TABLE {RUNS} IN SHARE ROW EXCLUSIVE MODE"
# Whoever only adds to them is not held up.
HOLD_COUNTS = f"LOCK TABLE {COUNTS} IN SHARE UPDATE EXCLUSIVE MODE"
COUNTED = ", ".join(f"{value} AS {name}" for name, value in KIND.items()).format(run="run")
COUNT = f"SELECT {COLUMNS}, COUNT(*) FROM (SELECT {COUNTED} FROM {RUNS} run) AS counted GROUP BY {COLUMNS}"
ANY_ALIKE = f"SELECT 1 FROM {COUNTS} GROUP BY {COLUMNS} HAVING COUNT(*) > 1 LIMIT 1"
ALIKE = f"""
    SELECT id FROM (SELECT id, COUNT(*) OVER (PARTITION BY {COLUMNS}) AS number FROM {COUNTS}) AS counted
    WHERE number > 1
"""
# In one statement: what others commit meanwhile is neither added up nor removed.
FOLD = f"""
    WITH gone AS (DELETE FROM {COUNTS} WHERE id IN ({ALIKE}) RETURNING {COLUMNS}, count)
    {INTO} SELECT {COLUMNS}, SUM(count) FROM gone GROUP BY {COLUMNS} HAVING SUM(count) <> 0
"""
# In three, where one transaction writes at a time.
NEWEST = f"SELECT COALESCE(MAX(id), 0) FROM {COUNTS}"
ADD_UP = f"{INTO} SELECT {COLUMNS}, SUM(count) FROM {COUNTS} GROUP BY {COLUMNS} HAVING COUNT(*) > 1"
REMOVE = f"DELETE FROM {COUNTS} WHERE (id <= %s AND id IN ({ALIKE})) OR count = 0"


def keep_counting() -> None:
    """Have the database count runs, unless it does: a table that SQLite makes anew has lost what does it."""
    names, needed = trigger_names(), triggers(connection.vendor)
    if set(names) == set(needed):
        return
    with transaction.atomic(), connection.cursor() as cursor:
        _hold(cursor, HOLD_RUNS)
        for name in names:
            cursor.execute(REMOVE_TRIGGER[connection.vendor].format(name=name))
        if function := FUNCTION[connection.vendor]:
            cursor.execute(function)
        for name, does in needed.items():
            cursor.execute(f"CREATE TRIGGER {name} {does}")
        recount()


def trigger_names() -> list[str]:
    """What counts in the database, at present. Triggers that others have put there are theirs."""
    ours = tuple(f"{name}_" for vendor in DOES.values() for name in vendor)
    with connection.cursor() as cursor:
        cursor.execute(INSTALLED[connection.vendor])
        return [name for (name,) in cursor.fetchall() if name.startswith(ours)]


@transaction.atomic
def recount() -> None:
    """Count all runs anew; nobody changes one meanwhile."""
    with connection.cursor() as cursor:
        _hold(cursor, HOLD_RUNS)
        _hold(cursor, HOLD_COUNTS)
        cursor.execute(f"DELETE FROM {COUNTS}")
        cursor.execute(f"{INTO} {COUNT}")


@transaction.atomic
def wrong_counts() -> list[tuple[Any, int, int]]:
    """Kinds of runs of which there are not as many as the counts say: kind, count, and how many there are."""
    with connection.cursor() as cursor:
        _hold(cursor, HOLD_RUNS)
        cursor.execute(f"SELECT {COLUMNS}, SUM(count) FROM {COUNTS} GROUP BY {COLUMNS}")
        kept = {row[:-1]: int(row[-1]) for row in cursor.fetchall() if row[-1]}
        cursor.execute(COUNT)
        there = {row[:-1]: int(row[-1]) for row in cursor.fetchall()}
    kinds = sorted(kept.keys() | there.keys(), key=str)
    return [
        (kind, kept.get(kind, 0), there.get(kind, 0)) for kind in kinds if kept.get(kind) != there.get(kind)
    ]


def fold() -> None:
    """Add up what is alike, if there is any; where there is none, nobody's turn to write is taken."""
    with connection.cursor() as cursor:
        cursor.execute(ANY_ALIKE)
        if not cursor.fetchall():
            return
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _hold(cursor, HOLD_COUNTS)
            cursor.execute(FOLD)
            return
        cursor.execute(NEWEST)
        newest = cursor.fetchone()
        cursor.execute(ADD_UP)
        cursor.execute(REMOVE, newest)


def _hold(cursor: Any, statement: str) -> None:
    """Nothing where a transaction that writes holds the whole database."""
    if connection.vendor == "postgresql":
        cursor.execute(statement)
