"""What is shipped: the sdist, the wheel built from it, and the one extension, which has wide
instructions only in its kernels.
"""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

import fastinit as fi
from fastinit._core import DISTRIBUTION

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.native
def test_the_sdist_builds_the_wheel_and_both_hold_what_they_should(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(
        ROOT,
        source,
        ignore=shutil.ignore_patterns(
            ".git", "build", "dist", "*.so", "__pycache__", ".*_cache", "*.egg-info"
        ),
    )
    # Without optimization, which the compiler of the installed package had, in a third of the time.
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nexec cc "$@" -O0 -g0\n')
    compiler.chmod(0o755)
    command = [
        sys.executable,
        "-P",
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(source),
    ]
    environment = {**os.environ, "CC": str(compiler)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (sdist,), (wheel,) = (
        list((tmp_path / "dist").glob(pattern)) for pattern in ("*.tar.gz", "*.whl")
    )
    with tarfile.open(sdist) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for path in (
        "src/_native.pyx",
        "src/fastinit.h",
        "src/simd/avx512.h",
        "src/kernel/normal.h",
        "src/isa/neon.c",
        "src/isa/cuda.cu",
        "src/simd/cuda.h",
        "setup.py",
        "LICENSE",
    ):
        assert path in inside, path
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"fastinit", f"fastinit_weights-{fi.info()['version']}.dist-info"}
    for path in (
        "py.typed",
        "_cuda/source/isa/cuda.cu",
        "_cuda/source/simd/cuda.h",
        "_cuda/source/kernel/draw.h",
        "_cuda/source/fastinit.h",
        "stream-v1.md",
        "_native.pyi",
        "checkpoint/presets/gpt2.toml",
        "torch/__init__.py",
        "reference/normal.py",
    ):
        assert f"fastinit/{path}" in names, path
    assert [name for name in names if re.fullmatch(r"fastinit/_native\.[^/]*\.(so|pyd)", name)]


@pytest.mark.native
def test_only_kernels_hold_wide_instructions_and_only_libc_is_linked():
    from fastinit import _native

    if not shutil.which("objdump"):
        pytest.fail("objdump (binutils, which the C compiler needs) is missing")
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", _native.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    function, wide = "", set()
    for line in text.splitlines():
        if match := re.match(r"[0-9a-f]+ <([^>]+)>:", line):
            function = match[1]
        elif re.search(r"%[yz]mm", line):
            wide.add(function)
    # make_schedule and make_truncated_* prepare the kernels and are compiled inside the same target
    # regions; scan_* measures values that exist.
    kernels = r"(tiles_|scan_|make_schedule|make_truncated_)"
    stray = {name for name in wide if not re.match(kernels, name)}
    assert not stray
    assert wide or "x86" not in text
    needed = subprocess.run(
        ["objdump", "-p", _native.__file__], capture_output=True, text=True, check=True
    ).stdout
    libraries = re.findall(r"NEEDED\s+(\S+)", needed)
    assert all(
        re.match(r"(libc|libm|libpthread|libgcc_s|ld-linux)\b", library) for library in libraries
    ), libraries


def test_the_installed_distribution_is_the_one_info_names():
    version = importlib.metadata.version("fastinit-weights")
    assert version == fi.info()["version"]
    assert fi.info()["distribution"] == f"fastinit-weights {version}"
    assert fi.__distribution__ == DISTRIBUTION == "fastinit-weights"


@pytest.fixture
def site(tmp_path):
    """A folder with a copy of the package, into which a distribution named fastinit then installs
    its command.
    """
    shutil.copytree(pathlib.Path(fi.__file__).parent, tmp_path / "fastinit")
    for name, files in {
        "fastinit-weights": ["fastinit/__init__.py", "fastinit/fill.py"],
        "fastinit": ["fastinit/cli.py", "fastinit/__init__.py"],
        "fastinit-cli": ["fastinit_cli/__init__.py"],
    }.items():
        folder = tmp_path / f"{name.replace('-', '_')}-9.9.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return tmp_path


def python(code, site):
    """Run code where fastinit is found in this folder only."""
    start = (
        "import os, sys, numpy\n"
        "others = [path for path in sys.path if not os.path.exists(os.path.join(path, 'fastinit'))]"
        f"\nsys.path[:] = [{str(site)!r}, *others]\n"
    )
    command = [sys.executable, "-P", "-c", start + code]
    return subprocess.run(command, capture_output=True, text=True)


def test_info_names_another_distribution_with_files_in_the_package(site):
    run = python(
        "import fastinit as fi; print(*fi.info()['clashes_with'], fi.info()['distribution'])", site
    )
    assert run.stdout == "fastinit 9.9 fastinit-weights 9.9\n", run.stderr


@pytest.mark.parametrize("theirs", ["VERSION = '0.2.0'", None])
@pytest.mark.parametrize("module", ["torch", "checkpoint", "fill"])
def test_a_package_whose_init_was_replaced_or_removed_says_how_to_mend_it(site, theirs, module):
    init = site / "fastinit" / "__init__.py"
    if theirs is None:
        init.unlink()
    else:
        init.write_text(theirs)
    run = python(f"import fastinit.{module}", site)
    assert run.returncode == 1
    assert "ImportError: the package fastinit beside" in run.stderr
    assert "pip uninstall fastinit, then pip install --force-reinstall" in run.stderr
