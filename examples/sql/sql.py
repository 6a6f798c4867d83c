"""A tool: SQL on a SQLite file that is opened read-only. One JSON line in, one out."""

import json
import pathlib
import sqlite3
import sys

ROWS = 50
database = sqlite3.connect(pathlib.Path(sys.argv[1]).as_uri() + "?mode=ro&immutable=1", uri=True)


def run(query):
    cursor = database.execute(query)
    if cursor.description is None:
        return {"error": "only queries that return rows are allowed"}
    rows = cursor.fetchmany(ROWS + 1)
    lines = [" | ".join(column[0] for column in cursor.description)]
    lines += [" | ".join(str(value) for value in row) for row in rows[:ROWS]]
    if len(rows) > ROWS:
        lines.append("... more than %d rows; narrow the query" % ROWS)
    return {"output": "\n".join(lines)}


for line in sys.stdin:
    query = json.loads(line)["arguments"].get("query")
    if not isinstance(query, str):
        reply = {"error": "the argument \"query\" must be a text"}
    else:
        try:
            reply = run(query)
        except (sqlite3.Error, sqlite3.Warning) as error:
            reply = {"error": "%s: %s" % (type(error).__name__, error)}
    print(json.dumps(reply))
