"""Settings of Sphinx; ``nox -s docs`` builds the documentation."""

import skdeepcluster

project = "skdeepcluster"
author = "The skdeepcluster developers"
copyright = author
version = release = skdeepcluster.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
# benchmarks.md is a table without a title, which results.md includes.
exclude_patterns = ["_build", "auto_examples/*.ipynb", "benchmarks.md", "templates"]
templates_path = ["templates"]

html_theme = "furo"
html_title = f"skdeepcluster {release}"
html_show_copyright = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# A module's page lists what is in its __all__, imported or not.
autosummary_ignore_module_all = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",  # the others are shown, but not run
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
}
