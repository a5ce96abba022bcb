"""Orthogonal matrices and convolutions: how they are formed, and where their parts go.

Regions: matrix.py, convolution.py.  Which form computes: forms.py; NumPy's: numpy_form.py; Numba's:
compiled.py (memory and threads) and ../_jit (products).  The public functions and their rules:
../initializers/orthogonal.py.  The promise: section 8 of stream-v1.md.
"""
