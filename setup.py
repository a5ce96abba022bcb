"""Builds the one extension, fastinit._native; everything else about the package stands in
pyproject.toml.

Without a working compiler the package installs all the same and runs on the reference engine (the
same bits, slower); FASTINIT_REQUIRE_NATIVE=1 makes a failed build an error instead.
"""

import glob
import os
import sys

from setuptools import Extension, setup

# The promise of equal bits rests on -ffp-contract=off: without it GCC fuses a*b + c, and 1 % of all
# normals change. (fastinit.h refuses -ffast-math.)  MSVC's /fp:precise does not contract.
FLAGS = (
    ["/O2", "/fp:precise"]
    if sys.platform == "win32"
    else ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]
)

required = os.environ.get("FASTINIT_REQUIRE_NATIVE", "") not in ("", "0")

native = Extension(
    "fastinit._native",
    sources=["src/_native.pyx", "src/dispatch.c", *sorted(glob.glob("src/isa/*.c"))],
    depends=sorted(glob.glob("src/**/*.h", recursive=True)),
    include_dirs=["src"],
    extra_compile_args=FLAGS,
    optional=not required,
)

setup(ext_modules=[native])
