"""The private machinery.  Its files are layers: each may import those before it in this list.

arguments, dtypes, math, truncated, stream, draws, jobs, shapes, dlpack, buffers, engine, fill,
safetensors.  The same order stands in tests/test_layers.py, which holds the files to it.
"""
