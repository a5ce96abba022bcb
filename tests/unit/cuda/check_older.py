"""Compiles the kernels for the GPUs that NVRTC 13 has dropped, sm_70 and sm_72, by NVRTC 12.

    python -P tests/unit/cuda/check_older.py FOLDER

FOLDER holds an unpacked nvidia-cuda-nvrtc-cu12 (pip install --no-deps --target FOLDER ...).
.ci/run runs it.  It is not a pytest test, because a process can load only one NVRTC.
"""

import ctypes
import pathlib
import sys

from fastinit._cuda import program


def main(folder: str) -> int:
    (library,) = pathlib.Path(folder).rglob("libnvrtc.so.12")
    nvrtc = ctypes.CDLL(str(library))
    text, headers = program.sources()
    count = len(headers)
    names = (ctypes.c_char_p * count)(*[name.encode() for name in headers])
    contents = (ctypes.c_char_p * count)(*headers.values())
    for architecture in ("sm_70", "sm_72"):
        for part in range(program.PARTS):
            handle = ctypes.c_void_p()
            status = nvrtc.nvrtcCreateProgram(
                ctypes.byref(handle), text, b"cuda.cu", count, contents, names
            )
            flags = [f"--gpu-architecture={architecture}", f"-DFI_PART={part}", *program.OPTIONS]
            given = (ctypes.c_char_p * len(flags))(*[flag.encode() for flag in flags])
            status = status or nvrtc.nvrtcCompileProgram(handle, len(flags), given)
            size = ctypes.c_size_t()
            if status:
                nvrtc.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
                log = ctypes.create_string_buffer(size.value)
                nvrtc.nvrtcGetProgramLog(handle, log)
                sys.exit(f"{architecture}, part {part}: {log.value.decode()[:2000]}")
            nvrtc.nvrtcGetCUBINSize(handle, ctypes.byref(size))
            code = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetCUBIN(handle, code)
            missing = [name for name in program.kernels(part) if name.encode() not in code.raw]
            if missing:
                sys.exit(f"{architecture}, part {part}: no {', '.join(missing)}")
            nvrtc.nvrtcDestroyProgram(ctypes.byref(handle))
        print(f"{architecture}: all {program.PARTS} parts compile")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
