"""Sphinx configuration; `make docs` builds with warnings as errors and without a network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

import castalia

project = "Castalia"
author = "The Castalia developers"
copyright = f"2026, {author}"
version = release = castalia.__version__

extensions = ["myst_parser"] + [f"sphinx.ext.{name}" for name in ("autodoc", "autosummary", "napoleon", "viewcode")]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

# One page per module, made from its docstrings; __all__ is not followed, so that a name is described where it is
# defined and not again where it is offered.
autosummary_generate = True
autosummary_ignore_module_all = True
autodoc_default_options = {"members": True, "ignore-module-all": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"Castalia {release}"
html_show_sphinx = False
html_copy_source = False
