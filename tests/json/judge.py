"""Judges what `k` read of JSON documents by Python's json.

Standard input: a JSON object {"paths": [[namesake, [step, …]], …], "documents": [[hexadecimal bytes, values], …]}.
A path begins with a member's name; a step is a name or an element's place. The values are one text
or null a path, or null where `k` calls the document malformed. Standard output: a JSON object
{"wrong": [text, …], "good": N, "malformed": N, "rules": {rule: N}}.

The rules by which `k` may call a document malformed that Python reads:
- surrogate: it has half a surrogate pair, which is no text, in what `k` has to look at.
- bytes: it has bytes that are no UTF-8 in what `k` has to look at. Python refuses all of it, and reads it here
  with these bytes escaped.
"""

import json
import re
import sys


class Raw(str):
    """A number, as it is written."""


def refuse(constant):
    raise ValueError(constant)  # NaN and Infinity are no JSON


def is_odd(value):
    """Returns whether half a surrogate pair is in a text, or in an element of a list."""
    if type(value) is list:
        return any(map(is_odd, value))
    return type(value) is str and re.search("[\ud800-\udfff]", value) is not None


class Members(dict):
    """The members of an object; whether half a surrogate pair is in them, also in one named twice."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.odd = any(is_odd(name) or has_odd(value) for name, value in pairs)


def has_odd(value):
    if type(value) is list:
        return any(map(has_odd, value))
    return value.odd if type(value) is Members else is_odd(value)


def read(text):
    return json.loads(
        text, parse_float=Raw, parse_int=Raw, parse_constant=refuse, object_pairs_hook=Members
    )


def element(value, step):
    if isinstance(step, str):
        return value.get(step) if type(value) is Members else None
    inside = type(value) is list and 0 <= step < len(value)
    return value[step] if inside else None


def follow(document, namesake, steps):
    """Returns the value at a path; a member that is called as the whole path goes before it."""
    if namesake in document:
        return document[namesake]
    value = document
    for step in steps:
        value = element(value, step)
    return value


def same(value, text, document):
    """Returns whether `k`'s text is the value."""
    if value is None or text is None:
        return value is None and text is None
    if value is True or value is False:
        return text == str(value).lower()
    if isinstance(value, str):
        return text == value
    return text in document and read(text) == value  # an object or a list as it is written


job = json.load(sys.stdin)
wrong, good, malformed, rules = [], 0, 0, {}
for number, (hexadecimal, values) in enumerate(job["documents"]):
    data = bytes.fromhex(hexadecimal)
    text = data.decode("utf-8", errors="surrogateescape")
    try:
        document = read(text)
    except (ValueError, RecursionError):
        document = None
    if type(document) is not Members:
        if values is None:
            malformed += 1
        else:
            wrong.append(f"{text!r}: read as {values}, and is no object")
        continue
    wanted = [follow(document, namesake, steps) for namesake, steps in job["paths"]]
    if values is None:
        if has_odd(document):
            rule = "bytes" if is_odd(text) else "surrogate"
            rules[rule] = rules.get(rule, 0) + 1
        else:
            wrong.append(f"{text!r}: malformed, and is {wanted}")
        continue
    for (namesake, _), value, found in zip(job["paths"], wanted, values):
        if not same(value, found, text):
            wrong.append(f"{text!r}: {namesake} is {found!r}, and is {value!r}")
    good += 1
json.dump({"wrong": wrong, "good": good, "malformed": malformed, "rules": rules}, sys.stdout)
