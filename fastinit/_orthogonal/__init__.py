"""Orthogonal matrices and convolutions: how they are formed, and where their parts go.

matrix.py and convolution.py handle regions.  forms.py chooses between NumPy (numpy_form.py) and
Numba (compiled.py for memory and threads, ../_jit for the products).  The public functions and
their rules are in ../initializers/orthogonal.py.  Section 8 of stream-v1.md is the contract.
"""
