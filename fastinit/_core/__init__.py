"""The private machinery.  Its files are layers: each may import those before it in this list.

arguments, dtypes, math, truncated, stream, draws, jobs, shapes, dlpack, buffers, engine, fill,
safetensors.  tests/project/test_layers.py has the same order and checks the files against it.
"""

import sys

DISTRIBUTION = "fastinit-weights"  # the name to install

# A distribution named fastinit exists and is not ours: installing it overwrites our __init__.py,
# uninstalling it removes ours.  All our other modules import this file, so it reports that.
if not hasattr(sys.modules["fastinit"], "__distribution__"):
    raise ImportError(
        f"the package fastinit beside {__path__[0]} is not the one of {DISTRIBUTION}: another "
        "distribution, such as the one named fastinit, replaced or removed its __init__.py; run "
        f"pip uninstall fastinit, then pip install --force-reinstall {DISTRIBUTION}"
    )
