"""The kernels as machine code for one architecture: compiled by NVRTC from the sources in the
package, kept on disk.

Compiled to machine code and not to PTX, so that an NVRTC newer than the driver works, within one
major version.  OPTIONS keep the promise of equal bits; tests/unit/cuda shows that another --fmad
fails.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .._core import DISTRIBUTION

# Products and sums rounded apart, subnormals kept, quotients and roots rounded to nearest.
OPTIONS = (
    "--fmad=false",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
    "--std=c++17",
    "--device-as-default-execution-space",
)
PARTS = 7  # of cuda.cu, compiled side by side
_INSIDE = Path(__file__).parent / "source"  # where setup.py puts a copy
_SOURCES = _INSIDE if _INSIDE.is_dir() else Path(__file__).parents[2] / "src"


class Unavailable(Exception):
    """CUDA kernels cannot be had here; the message says why and what would help."""


def sources() -> tuple[bytes, dict[str, bytes]]:
    """The program, and each header under the name by which it is included."""
    program = (_SOURCES / "isa" / "cuda.cu").read_bytes()
    headers = [
        _SOURCES / "fastinit.h",
        _SOURCES / "simd" / "cuda.h",
        *sorted((_SOURCES / "kernel").glob("*.h")),
    ]
    return program, {
        f"../{path.relative_to(_SOURCES).as_posix()}": path.read_bytes() for path in headers
    }


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()  # loads the library
    except Exception as error:  # ImportError, or cuda.pathfinder's: the library is not found
        raise Unavailable(
            f"NVRTC does not load ({error}); install it with pip install '{DISTRIBUTION}[cuda]'"
        ) from None
    return nvrtc


def version() -> tuple[int, int]:
    """The version of NVRTC."""
    _, major, minor = _nvrtc().nvrtcVersion()
    return major, minor


def build(
    architecture: str, part: int, options: tuple[str, ...] = OPTIONS, *, ptx: bool = False
) -> bytes:
    """Compile one part of the kernels for an architecture ("sm_90"): machine code, or PTX."""
    nvrtc = _nvrtc()
    ok = nvrtc.nvrtcResult.NVRTC_SUCCESS
    text, headers = sources()
    names = [name.encode() for name in headers]
    error, program = nvrtc.nvrtcCreateProgram(
        text, b"cuda.cu", len(names), list(headers.values()), names
    )
    if error != ok:
        raise Unavailable(f"NVRTC refuses the program: {error}")
    flags = [
        flag.encode()
        for flag in (f"--gpu-architecture={architecture}", f"-DFI_PART={part}", *options)
    ]
    try:
        (error,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
        if error != ok:
            _, size = nvrtc.nvrtcGetProgramLogSize(program)
            log = b" " * size
            nvrtc.nvrtcGetProgramLog(program, log)
            why = log.decode(errors="replace").strip("\0 \n")[:1000] or str(error)
            raise Unavailable(
                f"NVRTC {version()} does not compile the kernels for {architecture}: {why}"
            )
        size_of, get = (
            (nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
            if ptx
            else (nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN)
        )
        _, size = size_of(program)
        code = b" " * size
        get(program, code)
        return code
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def folder() -> Path | None:
    """Where machine code is kept; None for a user without a home folder."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # the specification ignores a relative one
        return Path(named) / "fastinit"
    try:
        return Path.home() / ".cache" / "fastinit"
    except RuntimeError:
        return None


def _digest(architecture: str) -> str:
    from _blake2 import blake2b

    program, headers = sources()
    everything = [architecture, repr(version()), *OPTIONS]
    digest = blake2b("\0".join(everything).encode(), digest_size=16)
    for text in (program, *headers.values()):
        digest.update(len(text).to_bytes(8, "little") + text)
    return digest.hexdigest()


def machine_code(architecture: str) -> list[bytes]:
    """All parts for an architecture, from the disk or compiled now."""
    place, name = folder(), f"cuda-{architecture}-{_digest(architecture)}.bin"
    if place is not None:
        with contextlib.suppress(OSError, ValueError):
            return _unpack(_read(place / name))
    with ThreadPoolExecutor(PARTS) as pool:
        parts = list(pool.map(lambda part: build(architecture, part), range(PARTS)))
    if place is not None:
        with contextlib.suppress(OSError):  # without it, each process compiles
            _keep(place / name, _pack(parts))
    return parts


def _read(path: Path) -> bytes:
    """A file's bytes, if nobody but this user and root can have written them.

    Machine code can do anything to this process's memory on the GPU, and other users may be able
    to write to the folder.
    """
    with path.open("rb") as file:
        if hasattr(os, "getuid"):
            status = os.fstat(file.fileno())
            if status.st_uid not in (0, os.getuid()) or status.st_mode & 0o022:
                raise ValueError("another user may have written it")
        return file.read()


def _checksum(data: bytes) -> bytes:
    from _blake2 import blake2b

    return blake2b(data, digest_size=16).digest()


def _pack(parts: list[bytes]) -> bytes:
    data = b"".join([len(part).to_bytes(8, "little") + part for part in parts])
    return _checksum(data) + data


def _unpack(data: bytes) -> list[bytes]:
    parts = []
    checksum, data = data[:16], data[16:]
    if checksum != _checksum(data):
        raise ValueError("cut short or changed")
    while data:
        size = int.from_bytes(data[:8], "little")
        parts.append(data[8 : 8 + size])
        data = data[8 + size :]
    if len(parts) != PARTS:
        raise ValueError("not all parts")
    return parts


def _keep(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def kernels(part: int) -> list[str]:
    """The names of a part's kernels."""
    narrow = ("FI_F32", "FI_F16", "FI_BF16", "FI_E4M3", "FI_E5M2")
    if part < 5:
        draw = ("uniform", "normal", "central", "wide", "far")[part]
        return [*[f"runs_{draw}_{storage}" for storage in narrow], f"region_{draw}"]
    wide = [
        [f"runs_{draw}_FI_F64", f"region_{draw}_f64"]
        for draw in (("uniform", "normal"), ("wide", "far"))[part - 5]
    ]
    rest = [
        "runs_words_FI_U32",
        "runs_words64_FI_U64",
        "region_words",
        "region_words64",
        "runs_constant",
        "region_copy",
    ]
    return [*wide[0], *wide[1], *(rest if part == 5 else ())]


SWEEPS = ("FI_F16", "FI_BF16", "FI_E4M3", "FI_E5M2", "radius", "central", "compare")  # of part 7
