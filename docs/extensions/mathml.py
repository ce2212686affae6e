# SPDX-License-Identifier: BSD-3-Clause
"""Formulas as MathML, which browsers show by themselves: no script, no font and no network where they are read."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def inline(writer, node):
    writer.body.append(convert(node.astext()))
    raise SkipNode


def display(writer, node):
    writer.body.append('<div class="math-display">' + convert(node.astext(), display="block") + "</div>\n")
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
