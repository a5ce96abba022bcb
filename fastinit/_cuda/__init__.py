"""The CUDA engine: the kernels of src/kernel on an NVIDIA GPU, into memory that lies there.

view.py      device memory as the engine sees it: shape, strides, address, device, stream
lend.py      memory of torch, CuPy, Numba … → a view
launch.py    jobs → kernel launches with their arguments; knows no driver
program.py   the sources → machine code for one architecture, by NVRTC; kept on disk
device.py    one GPU: its kernels, known answers, launches and copies

A build for AMD's GPUs (HIP) would compile the same src/: the vocabulary needs only integers of 32
and 64 bits and IEEE arithmetic without contraction.  It would need the branches on __CUDACC__ in
src/simd/cuda.h (each has a plain form beside it) and the qualifiers in src/isa/cuda.cu, hipRTC in
program.py with -ffp-contract=off, subnormals kept and quotients and roots rounded correctly, and
HIP's names for the driver's calls.  NVIDIA's driver is imported in device.py alone, which passes it
to lend.py and selftest.py; NVRTC is imported in program.py alone.

The engine keeps an array alive only until the call returns, while the fill may still run.  An
array's own allocator has to know of the stream, as for any other kernel: memory freed on another
stream than the fill's may be given away too early.  In torch call tensor.record_stream(stream), or
free the tensor on the stream that filled it; in CuPy and Numba do the latter.

It imports NVIDIA's packages (extra `cuda`) when the first CUDA destination comes, and not before.
"""
