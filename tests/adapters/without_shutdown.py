"""Runs a script and ends the process at once, without the shutdown of Python: there, now and then,
threads of gloo that still hold tensors abort a rank that has done all its work (torch 2.13).

    python tests/adapters/without_shutdown.py SCRIPT ARGUMENT...
"""

import os
import runpy
import sys

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")  # an error ends the process as ever
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)
