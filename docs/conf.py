"""The site: guide, gallery, reference and benchmark pages. `make docs` builds it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]
# Examples use every core there is unless they are told otherwise, and so does a build beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import ageboost  # noqa: E402

project = "ageboost"
author = "The ageboost developers"
version = release = ageboost.__version__
language = "en"
smartquotes = False  # two hyphens begin an option

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "one_home",
    "short_names",
    "command_pages",
]
exclude_patterns = ["_build", "inventories", "gallery/**.ipynb", "gallery/**.py"]
templates_path = ["_templates"]
nitpicky = True

# Pages are Markdown; headings can be linked to as on any page of a repository.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# Texts that live elsewhere in the repository, because they ship with a file or are its front page.
one_home_pages = {
    "index": "README.md",
    "changes": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "conduct": "CODE_OF_CONDUCT.md",
    "security": "SECURITY.md",
    "cards/accurate": "ageboost/models/pretrained/accurate.md",
    "cards/fast": "ageboost/models/pretrained/fast.md",
    "cards/classical": "ageboost/models/pretrained/classical.md",
    "cards/open": "ageboost/models/pretrained/open.md",
    "cards/networks": "ageboost/features/weights/README.md",
    "cards/appearance": "ageboost/faces/weights/README.md",
}

# A page for each object; what is inherited from other projects is theirs to document.
autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"
autodoc_default_options = {"members": True, "inherited-members": True}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The build needs no network: see inventories/README.md.
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", str(HERE / "inventories/scikit-learn.inv")),
    "pandas": ("https://pandas.pydata.org/docs/", str(HERE / "inventories/pandas.inv")),
}
# Names inside ageboost that docstrings of private modules mention, and of Python and NumPy.
nitpick_ignore_regex = [("py:.*", r"(numpy|matplotlib|struct)\b.*")]

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"(__init__|demo)\.py$",
    "within_subsection_order": "gallery_order.in_order",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "reference_url": {"ageboost": None},
    "doc_module": ("ageboost",),
    "backreferences_dir": "gallery/uses",
    "inspect_global_variables": False,
    "notebook_extensions": set(),
    "show_signature": False,
    "plot_gallery": True,
    "abort_on_example_error": False,
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"ageboost {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "ageboost"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}
copyright = "The ageboost developers, BSD 3-Clause licence"  # noqa: A001


def setup(app):
    """Leave what ageboost inherits from scikit-learn and Python to their own documentation."""
    app.connect("autodoc-skip-member", _skip_what_is_inherited)


def _skip_what_is_inherited(app, what, name, member, skip, options):
    member = getattr(member, "fget", None) or getattr(member, "__wrapped__", None) or member
    module = getattr(member, "__module__", None)
    if name.startswith("set_") and name.endswith("_request"):
        return True
    return True if module and not module.startswith("ageboost") else skip
