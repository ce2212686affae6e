# SPDX-License-Identifier: BSD-3-Clause
"""Sphinx: what `./run docs` builds.  The pages are MyST Markdown, which GitHub shows as well."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "docs/extensions"), str(ROOT / "python")]
import stand_ins  # noqa: E402

project = "svdgrad"
author = copyright = "the svdgrad authors"
release = re.search(r"VERSION (\d+\.\d+\.\d+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
version = release

extensions = [
    "myst_parser", "breathe", "sphinx.ext.autodoc", "sphinx_design", "sphinx_copybutton",
    "repository_pages", "math_as_svg", "docstrings",
]  # fmt: skip
exclude_patterns = ["requirements.txt"]

# Markdown
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4
html_math_renderer = "svg"
smartquotes = False

# Pictures of measurements, from their tables; what is committed is the same unless a table has changed.
for script in ("fastest_peer.py", "gaps_picture.py"):
    subprocess.run([sys.executable, script], cwd=ROOT / "bench", check=True, stdout=subprocess.DEVNULL)

# The C header
subprocess.run(["doxygen", "docs/Doxyfile"], cwd=ROOT, check=True)
for file in (ROOT / "build/docs/doxygen/xml").glob("*.xml"):  # `@param S,U,Vh` is one line, not S and U as types of Vh
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"(?<=\w)</parametername>\s*<parametername[^>]*>", ",", text)
    # A line of code is one piece: Breathe drops a piece that has nothing but spaces.
    text = re.sub(r"<codeline>.*?</codeline>", lambda line: re.sub(r"</highlight><highlight[^>]*>|</?ref[^>]*>", "", line[0]), text)
    file.write_text(text, encoding="utf-8")
breathe_projects = {"svdgrad": str(ROOT / "build/docs/doxygen/xml")}
breathe_default_project = "svdgrad"
breathe_domain_by_extension = {"h": "c"}
breathe_show_include = False
c_id_attributes = ["SVDGRAD_API"]
primary_domain = None
highlight_language = "none"

# The Python package is imported from the sources; what it calls is not needed to read its documentation.
stand_ins.install(release)
OWN = [f"svdgrad.{name}" for name in ("_jax_rules", "_torch_autograd", "_torch_ops", "_torch_rules", "_tensorflow_ops", "_xla")]
autodoc_mock_imports = ["jax", "torch", "tensorflow", "dask", *OWN]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_display_short_literal_types = True

# The look
html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"svdgrad {release}"
html_static_path = ["static"]
html_css_files = ["svdgrad.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True, "sidebar_hide_name": False}
copybutton_exclude = ".linenos, .gp, .go"

# --linkcheck
linkcheck_timeout = 15
linkcheck_retries = 2
linkcheck_anchors = False
