"""Sphinx's settings for `make docs`; nothing here needs the network."""

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
autodoc_default_options = {"members": True, "show-inheritance": False}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

nitpicky = True
# Names of other projects cannot be looked up without the network; ours must all be there.
nitpick_ignore_regex = [(r"py:.*", r"(?!kws\.).*")]

html_theme = "furo"
html_title = f"kws {version}"
html_static_path = ["_static"]
html_css_files = ["kws.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
