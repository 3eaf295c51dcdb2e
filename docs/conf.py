"""Sphinx's settings for `make docs`; nothing here needs the network."""

import re

from sphinx.application import Sphinx

import kws

project = "kws"
author = "The kws authors"
project_copyright = "the kws authors, Apache-2.0"
version = release = kws.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/README.md"]
default_role = "literal"  # `name` in a docstring is code, as in Markdown

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

nitpicky = True
# Names of other projects cannot be looked up without the network. Ours must all be
# there, but for parts that are seen in a signature and are not public.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!kws\.).*"),
    (r"py:class", r"kws\.(runtime\.stream\.AnyDetector|runtime\.chunker\.Chunker|decoding\.scorer\.KeywordScorer)"),
]

html_theme = "furo"
html_title = f"kws {version}"
html_static_path = ["_static"]
html_css_files = ["kws.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"


def setup(app: Sphinx) -> None:
    """Docstrings are prose: a bar or a star in them is itself, and no mark-up."""
    app.connect("autodoc-process-docstring", keep_bars_and_stars)


def keep_bars_and_stars(_app: object, _what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Escapes them in place, but for code spans and examples."""
    for number, line in enumerate(lines):
        if not line.startswith((" ", ">>>", "...")):
            parts = re.split(r"(`[^`]*`)", line)
            lines[number] = "".join(
                part if part.startswith("`") else re.sub(r"(?<!\*)\*(?=\w)|\|", r"\\\g<0>", part) for part in parts
            )
