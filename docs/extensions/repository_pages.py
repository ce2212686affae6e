# SPDX-License-Identifier: BSD-3-Clause
"""Pages that are files of the repository: CONTRIBUTING.md, tables of measurements.

A page whose first line is `<!-- page: FILE -->` shows FILE (relative to the page) instead of its own text, which is for
those who read it outside of the site.  Links in FILE, relative to FILE, are turned into links to the page that shows the
same file, or to the file itself.

On any page, `<!-- table: FILE: TITLE -->` stands for the table below the line of FILE that begins with TITLE, and `<!-- facts:
FILE: TITLE -->` for the date, machine and command above that line: a file may have tables of several runs.
"""

import os
import pathlib
import re

MARK = re.compile(r"^<!-- (table|facts): ([^ :]+)(?:: (.*?))? -->$", re.MULTILINE)
FIRST_LINE = re.compile(r"<!-- page: (\S+) -->")
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
PAGES = {}  # file of the repository: the document that shows it


def find_pages(app):
    PAGES.clear()
    for page in pathlib.Path(app.srcdir).rglob("*.md"):
        with open(page, encoding="utf-8") as file:
            match = FIRST_LINE.match(file.readline())
        if match:
            PAGES[(page.parent / match[1]).resolve()] = page


def replace(app, docname, source):
    match = FIRST_LINE.match(source[0])
    if not match:
        return
    page = pathlib.Path(app.env.doc2path(docname))
    file = (page.parent / match[1]).resolve()
    app.env.note_dependency(str(file))

    def link(found):
        opening, target, anchor, closing = found.groups()
        if re.match(r"[a-z]+:", target):
            return found[0]
        aim = (file.parent / target).resolve()
        if aim.is_dir():
            aim = aim / "README.md" if (aim / "README.md").exists() else aim
        aim = PAGES.get(aim, aim)
        if aim.is_dir():  # nothing to show: the text without the link
            return "]" + "(" + "#" + ")"
        return opening + os.path.relpath(aim, page.parent) + (anchor or "") + closing

    text = LINK.sub(link, file.read_text(encoding="utf-8"))
    # A file that begins with a table of facts gets the heading of its page.
    heading = re.search(r"^# .*$", source[0], re.MULTILINE)
    if not text.startswith("# ") and heading:
        text = heading[0] + "\n\n" + text
    source[0] = text


def facts_of(text, title):
    start = re.search(rf"^{re.escape(title)}", text, re.MULTILINE)
    if not start:
        raise ValueError(f"no line begins with: {title}")
    found = dict(re.findall(r"^\* (date|machine|command): (.*)$", text[: start.start()], re.MULTILINE))  # the last of each
    return f"{found['machine']}; {found['date']}; `{found['command']}`"


def table_of(text, title):
    found = re.search(rf"^({re.escape(title)}.*)\n\n((?:\|.*\n)+)", text, re.MULTILINE)
    if not found:
        raise ValueError(f"no table whose title begins with: {title}")
    return f"{found[1]}:\n\n{found[2]}"


def insert(app, docname, source):
    page = pathlib.Path(app.env.doc2path(docname))

    def text_for(mark):
        kind, path, title = mark.groups()
        file = (page.parent / path).resolve()
        app.env.note_dependency(str(file))
        text = file.read_text(encoding="utf-8")
        return "\n" + (facts_of if kind == "facts" else table_of)(text, title) + "\n"

    source[0] = MARK.sub(text_for, source[0])


def setup(app):
    app.connect("builder-inited", find_pages)
    app.connect("source-read", replace)
    app.connect("source-read", insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
