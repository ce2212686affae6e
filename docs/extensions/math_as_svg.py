# SPDX-License-Identifier: BSD-3-Clause
"""Formulas as SVG in the colour and size of the text: no script, no font and no network where they are read."""

import html
import re

from docutils.nodes import SkipNode
from ziamath import Latex

SIZE = 16  # of the text, in units of the SVG


def picture(tex, inline):
    """The SVG with its size in em, and how far its lower edge lies below the line of text."""
    formula = Latex(tex, size=SIZE, inline=inline, color="currentColor")
    svg = re.sub(r' (width|height)="([\d.]+)"', lambda m: f' {m[1]}="{float(m[2]) / SIZE:.3f}em"', formula.svg(), count=2)
    below = formula.getyofst() / SIZE
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(tex)}" style="vertical-align:{below:.3f}em" ', 1)


def inline(writer, node):
    writer.body.append(f'<span class="math">{picture(node.astext(), True)}</span>')
    raise SkipNode


def display(writer, node):
    writer.body.append(f'<div class="math-display">{picture(node.astext(), False)}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("svg", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
