"""Builds the one extension, fastinit._native; everything else about the package is in
pyproject.toml.

Without a working compiler the package still installs, and runs on the reference engine (the
same bits, slower); FASTINIT_REQUIRE_NATIVE=1 makes a failed build an error instead.
"""

import glob
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

# The promise of equal bits rests on -ffp-contract=off: without it GCC fuses a*b + c, and 1 % of all
# normals change. (fastinit.h refuses -ffast-math.)
FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden"]

required = os.environ.get("FASTINIT_REQUIRE_NATIVE", "") not in ("", "0")

native = Extension(
    "fastinit._native",
    sources=["src/_native.pyx", "src/dispatch.c", *sorted(glob.glob("src/isa/*.c"))],
    depends=sorted(glob.glob("src/**/*.h", recursive=True)),
    include_dirs=["src"],
    extra_compile_args=FLAGS,
    optional=not required,
)


class WithKernels(build_py):
    """Puts the sources of the CUDA kernels into the package, which compiles them on a GPU."""

    PLACE = "fastinit/_cuda/source"

    def _copies(self):
        files = [
            Path("src/fastinit.h"),
            Path("src/simd/cuda.h"),
            Path("src/isa/cuda.cu"),
            *sorted(Path("src/kernel").glob("*.h")),
        ]
        return [(file, Path(self.build_lib, self.PLACE, file.relative_to("src"))) for file in files]

    def run(self):
        super().run()
        if not self.editable_mode:  # then the package reads src/ itself
            for file, copy in self._copies():
                self.mkpath(str(copy.parent))
                self.copy_file(str(file), str(copy))

    def get_outputs(self, include_bytecode=True):
        return [*super().get_outputs(include_bytecode), *[str(copy) for _, copy in self._copies()]]


class InParallel(build_ext):
    """Compiles the sources of the one extension side by side; setuptools would not."""

    def build_extension(self, ext):
        compile_all = self.compiler.compile

        def compile_each(sources, *args, **kwargs):
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                objects = pool.map(lambda source: compile_all([source], *args, **kwargs), sources)
                return [name for names in objects for name in names]

        self.compiler.compile = compile_each
        try:
            super().build_extension(ext)
        finally:
            self.compiler.compile = compile_all


# The kernels are written for GCC and clang; MSVC compiles none of them. On Windows the reference
# engine draws the same bits.
modules = [native] if sys.platform != "win32" or required else []

setup(ext_modules=modules, cmdclass={"build_ext": InParallel, "build_py": WithKernels})
