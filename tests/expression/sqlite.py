"""Evaluates SQL expressions with SQLite, for the test that compares them with `k`'s.

Standard input: a JSON object {"columns": [[name, type], …], "rows": [[value, …], …],
"expressions": [text, …]}. Standard output: a JSON list with one entry an expression: a list of
[type, value] a row, or a string that says why SQLite refuses it. Doubles are written as their
shortest decimal digits.
"""

import json
import sqlite3
import sys

job = json.load(sys.stdin)
database = sqlite3.connect(":memory:")
database.execute("pragma case_sensitive_like = on")
columns = ", ".join(f"{name} {kind}" for name, kind in job["columns"])
database.execute(f"create table t ({columns})")
holes = ", ".join("?" for _ in job["columns"])
database.executemany(f"insert into t values ({holes})", job["rows"])

results = []
for expression in job["expressions"]:
    try:
        cursor = database.execute(f"select typeof({expression}), {expression} from t order by rowid")
        results.append([[kind, repr(value) if kind == "real" else value] for kind, value in cursor])
    except sqlite3.Error as error:
        results.append(str(error))
json.dump(results, sys.stdout)
