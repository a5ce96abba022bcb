"""The CUDA engine: the kernels of src/kernel on an NVIDIA GPU, into memory that lies there.

view.py      device memory as the engine sees it: shape, strides, address, device, stream
lend.py      memory of torch, CuPy, Numba … → a view
launch.py    jobs → kernel launches with their arguments; knows no driver
program.py   the sources → machine code for one architecture, by NVRTC; kept on disk
device.py    one GPU: its kernels, known answers, launches and copies

It imports NVIDIA's packages (extra `cuda`) when the first CUDA destination comes, and not before.
"""
