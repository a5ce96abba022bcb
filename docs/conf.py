"""How Sphinx builds the site.

    pip install '.[docs]' && python -P -m sphinx -W --keep-going -b html docs docs/_build/html

Before each build, pages.py writes the pages of the initializers and the tables of the benchmarks
from the catalogue and from benchmarks/results, so they cannot differ from the code.  Sphinx
documents the installed package, not the source tree.
"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
os.environ.setdefault("KERAS_BACKEND", "jax")  # otherwise Keras requires TensorFlow

import pages  # noqa: E402 - from this folder

import fastinit  # noqa: E402 - after KERAS_BACKEND is set

project = "fastinit"
author = copyright = "the fastinit authors"
version = release = fastinit.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_tables", "examples/*.py", "examples/README.txt"]
default_role = "py:obj"
nitpicky = False  # See Also names torch, JAX and Keras functions, which are not linked
suppress_warnings = ["config.cache"]  # the gallery's sorter cannot be pickled

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"  # the docstrings give the types in words
autosummary_generate = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "fastinit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}  # without it the theme's script logs an error
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}


def setup(app: object) -> None:
    """Write the generated pages before Sphinx looks for its sources."""
    pages.write()
