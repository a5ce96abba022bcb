"""Shows that the promise depends on -ffp-contract=off: kernels that are built with contraction
allowed must give other bits.

It builds the extension from this checkout twice into a temporary folder, first as setup.py does,
then with -ffp-contract=fast -mfma (AArch64 always has fused multiply-add), and draws with every
instruction set of both builds.  The first build must agree with the reference engine everywhere;
the second must differ wherever contraction is possible.  .ci/run runs it with Python -P, so that
the reference engine is that of the installed package.
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from fastinit import _native, reference
from fastinit._core.dtypes import F32, F64, NORMAL
from fastinit._core.jobs import Job

ROOT = pathlib.Path(__file__).resolve().parents[3]
COUNT = 1 << 16


def build(folder: pathlib.Path) -> str:
    """Build the extension from a copy of the sources, contracting; returns its path."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.o", "_native.c"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "fastinit").mkdir()
    text = (ROOT / "setup.py").read_text()
    assert "-ffp-contract=off" in text
    fused = '"-ffp-contract=fast"' + (
        ', "-mfma"' if platform.machine() in ("x86_64", "AMD64") else ""
    )
    text = text.replace('"-ffp-contract=off"', fused)
    (folder / "setup.py").write_text(text)
    environment = {**os.environ, "FASTINIT_REQUIRE_NATIVE": "1"}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the build failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return str(next((folder / "fastinit").glob("_native*")))


def load(path: str):
    loader = importlib.machinery.ExtensionFileLoader("_native", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_native", loader))
    loader.exec_module(module)
    return module


def differing(native, isa: str) -> str:
    """How many float32 and float64 normals have other bits than the reference engine's."""
    native.use(isa)
    counts = []
    for storage, unsigned in ((F32, np.uint32), (F64, np.uint64)):
        job = Job(np.zeros(COUNT, unsigned), NORMAL, storage, 1, 2, 0, (0.25, 0.7), 0, (1,))
        want = job._replace(out=np.zeros(COUNT, unsigned))
        native.Batch([job]).work(-1)
        reference.Batch([want]).work(-1)
        counts.append(int((job.out != want.out).sum()))
    return " and ".join(str(count) for count in counts)


def report(path: str) -> dict[str, str]:
    native = load(path)
    found = {isa: differing(native, isa) for isa in native.isas()}
    return {**found, **dict.fromkeys(native.rejected().split(), "refused at load")}


def main() -> int:
    # Each build runs in its own process, as a process loads an extension of one name once.
    if len(sys.argv) > 1:
        print(report(sys.argv[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for path in (_native.__file__, build(pathlib.Path(folder))):
            run = subprocess.run(
                [sys.executable, "-P", __file__, path],
                check=True,
                capture_output=True,
                text=True,
            )
            results.append(eval(run.stdout))  # noqa: S307  (our own dict)
    promised, contracting = results
    bad = []
    for isa in promised:
        print(
            f"{isa}: of {COUNT} float32 and float64 normals differ {promised[isa]} as installed, "
            f"{contracting.get(isa)} contracted"
        )
        if promised[isa] != "0 and 0":
            bad.append(f"{isa} as installed differs from the reference engine")
        if contracting.get(isa) == "0 and 0":
            bad.append(
                f"{isa} built with contraction allowed passes: the vectors do not see contraction"
            )
    print(
        "\n".join(bad)
        or "every instruction set agrees as installed and fails with contraction allowed"
    )
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
