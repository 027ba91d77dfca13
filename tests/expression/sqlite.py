"""Evaluates SQL expressions with SQLite, and some functions of Python's, for the test that compares them with `k`'s.

Standard input: a JSON object {"columns": [[name, type], …], "rows": [[value, …], …],
"expressions": [text, …]}. Standard output: a JSON list with one entry an expression: a list of
[type, value] a row, or a string that says why SQLite refuses it. Doubles are written as their
shortest decimal digits.
"""

import json
import re
import sqlite3
import sys

job = json.load(sys.stdin)
database = sqlite3.connect(":memory:")
database.execute("pragma case_sensitive_like = on")


def extract(pattern, text, group):
    found = re.search(pattern, text)
    return found and found.group(group)


def mask(text, start, end):
    """Masks the characters from a place to another, as ksqlDB does."""
    def masked(character):
        kinds = (str.isupper, "X"), (str.islower, "x"), (str.isdigit, "n")
        return next((mask for is_such, mask in kinds if is_such(character)), "-")
    start, end = max(start, 0), max(end, 0)
    return text[:start] + "".join(map(masked, text[start:end])) + text[end:]


def define(name, function):
    """Makes a function of Python's one of SQLite's; null where an argument is."""
    strict = lambda *arguments: None if None in arguments else function(*arguments)
    database.create_function(name, -1, strict, deterministic=True)


define("py_like", lambda text, pattern: re.search(pattern, text) is not None)
define("py_extract", extract)
define("py_replace", lambda text, pattern, new: re.sub(pattern, new, text))
define("py_mask", mask)
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
