# SPDX-License-Identifier: BSD-3-Clause
"""Docstrings of the package, plain text with columns, become reStructuredText:

    name    what it is,
            continued

is an item of a list with the name as code, `x` is code, and a formula such as a @ b stays as it is.
"""

import re

ITEM = re.compile(r"^ *([A-Za-z_]\w*(?:, \w+)*)(?: {2,}|(?<=batch_invariant) )(\S.*)$")


def convert(lines):
    result, in_item = [], False
    for line in lines:
        item = ITEM.match(line)
        deep = len(line) - len(line.lstrip())
        if item and (not in_item or deep < 4):
            if not in_item:
                result.append("")
            names = ", ".join(f"``{name}``" for name in item[1].split(", "))
            result.append(f"* {names}: {escaped(item[2])}")
            in_item = True
        elif in_item and deep >= 4:
            result.append("  " + escaped(line.strip()))
        else:
            if in_item and line.strip():
                result.append("")
                in_item = False
            result.append(escaped(line))
    return result


def escaped(line):
    """`x` becomes ``x``; stars and bars are what they are."""
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", re.sub(r"[*|]", r"\\\g<0>", line))


def process(app, what, name, thing, options, lines):
    lines[:] = convert(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
