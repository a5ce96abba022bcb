# cython: language_level=3, freethreading_compatible=True, boundscheck=False, wraparound=False
# cython: cdivision=True, initializedcheck=False
"""The native engine: batches of draws into any memory, the GIL off.

Owns buffers, runs of tiles, heads and tails by whole scratch tiles, strides, many tensors in one
call, and the floating-point guard.  Draws nothing itself: the kernels of src/isa do.  The same
class Batch in pure Python: fastinit/reference.
"""

import os

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_SIMPLE, PyBUF_STRIDED, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset


cdef extern from "fastinit.h" nogil:
    const int FI_PARAMETERS, FI_ISAS, FI_DRAWS, FI_STORAGES
    const int FI_CONSTANT, FI_WORDS64, FI_F64, FI_E5M2, FI_PAGE
    ctypedef struct fi_draw:
        uint64_t seed, stream
        uint32_t plane
        double parameters[1]  # FI_PARAMETERS of them
        int non_temporal
    ctypedef void (*fi_tiles)(const fi_draw *, uint64_t, size_t, void *) noexcept nogil
    ctypedef struct fi_scan:
        int code
        int64_t start, width
        uint64_t *table
        double *rows
        double *columns
        int64_t values, zeros, subnormals
        double mean, m2, m3, m4, low, high
    ctypedef struct fi_isa:
        const char *name
        fi_tiles tiles[1][1]
        void (*scan)(fi_scan *, const void *, size_t) noexcept nogil
        uint64_t (*digest)(const void *, size_t, uint64_t, uint64_t *) noexcept nogil
    int fi_isas(const fi_isa **)
    const char *fi_rejected()
    int fi_scans_agree(const fi_isa *, const fi_isa *)
    uint64_t fi_enter()
    void fi_leave(uint64_t)
    int64_t fi_add(int64_t *, int64_t)
    void fi_advise(void *, size_t)


cdef enum:
    AXES = 32              # more than NumPy's arrays had until 2.0; 64 merge to fewer in practice
    # values: a fraction of a millisecond, so that threads end together and Ctrl-C is seen soon
    CHUNK = 1 << 18
    SMALL = 1 << 14        # values: some microseconds
    LARGE = 1 << 22        # bytes: two huge pages, of which one lies inside; NumPy's threshold too
    NON_TEMPORAL = 1 << 25  # bytes: larger than the caches; below, what is read soon is still there
    SCRATCH = 32           # tiles
    SCRATCH_BYTES = SCRATCH * 64 * 8
    CARRY = 1 << 28        # tiles: where the low word of the block counter is full


cdef struct Axis:
    int64_t count, index, memory  # how many; steps of the value index and, in bytes, of the memory


cdef struct Work:
    fi_draw draw
    fi_tiles tiles         # NULL: a constant
    uint64_t constant
    char *memory
    uint64_t first
    int64_t values, chunks, shift
    int64_t inner          # values whose indices run on without a gap
    int axes, outer        # axes[outer:] make up `inner`
    int itemsize, per_tile
    bint direct            # `inner` is contiguous in memory as well
    Axis axis[AXES]


# --------------------------------------------------------------------------------- instruction sets

cdef const fi_isa *_list[5]
cdef int _count = fi_isas(_list)
cdef const fi_isa *_isa = _list[_count - 1]


def isa():
    return _isa.name.decode()


def isas():
    return tuple([_list[k].name.decode() for k in range(_count)])


def rejected():
    """Instruction sets that did not answer as the scalar kernels do, and so are not used."""
    return fi_rejected().decode()


def use(str name not None):
    """Draw with this instruction set from now on: for tests and benchmarks.

    Users set FASTINIT_ISA.
    """
    global _isa
    for k in range(_count):
        if _list[k].name.decode() == name:
            _isa = _list[k]
            return
    raise ValueError(
        f"no instruction set {name[:80]!r} on this machine; there are: {', '.join(isas())}")


cdef _choose():
    wanted = os.environ.get("FASTINIT_ISA", "")
    if wanted:
        try:
            use(wanted)
        except ValueError as error:
            raise ImportError(f"FASTINIT_ISA: {error}") from None

_choose()


# ----------------------------------------------------------------------------- floating-point state


def enter():
    """Set round-to-nearest, no flush to zero, exceptions masked; returns what to give to leave().
    """
    return fi_enter()


def leave(state):
    """Restore what enter() returned."""
    fi_leave(unsigned(state))


# ------------------------------------------------------------------------------ what callers give


cdef int64_t signed(value) except? -1:
    try:
        return value
    except OverflowError as error:
        raise ValueError(f"a number is too large: {error}") from None


cdef uint64_t unsigned(value) except? 1:
    try:
        return value
    except OverflowError as error:
        raise ValueError(f"a number is negative or too large: {error}") from None


# ------------------------------------------------------------------------------------------ drawing


cdef void draw_tiles(const Work *work, uint64_t tile, size_t count, char *out) noexcept nogil:
    cdef size_t n
    while count:
        n = CARRY - tile % CARRY
        if n > count:
            n = count
        work.tiles(&work.draw, tile, n, out)
        out += n * work.per_tile * work.itemsize
        tile += n
        count -= n


cdef void draw_run(const Work *work, uint64_t index, int64_t count, char *out) noexcept nogil:
    """Values index ... index + count - 1 into contiguous memory; the ragged ends are cut from
    whole tiles.
    """
    cdef char scratch[64 * 8]
    cdef int64_t per = work.per_tile, size = work.itemsize, offset = index % per, n
    if offset or count < per:
        n = min(per - offset, count)
        work.tiles(&work.draw, index / per, 1, scratch)
        memcpy(out, scratch + offset * size, n * size)
        out += n * size
        index += n
        count -= n
    n = count / per
    if n:
        draw_tiles(work, index / per, n, out)
        out += n * per * size
        index += n * per
        count -= n * per
    if count:
        work.tiles(&work.draw, index / per, 1, scratch)
        memcpy(out, scratch, count * size)


cdef void put_constant(
    char *out, int64_t count, int64_t step, int size, uint64_t bits
) noexcept nogil:
    cdef int64_t k
    if step == size and (size == 1 or bits == 0):
        memset(out, bits & 0xFF, count * size)
    elif size == 1:
        for k in range(count):
            (<uint8_t *>(out + k * step))[0] = <uint8_t>bits
    elif size == 2:
        if step == 2:
            for k in range(count):
                (<uint16_t *>out)[k] = <uint16_t>bits
        else:
            for k in range(count):
                (<uint16_t *>(out + k * step))[0] = <uint16_t>bits
    elif size == 4:
        if step == 4:
            for k in range(count):
                (<uint32_t *>out)[k] = <uint32_t>bits
        else:
            for k in range(count):
                (<uint32_t *>(out + k * step))[0] = <uint32_t>bits
    else:
        if step == 8:
            for k in range(count):
                (<uint64_t *>out)[k] = bits
        else:
            for k in range(count):
                (<uint64_t *>(out + k * step))[0] = bits


cdef void put(char *out, const char *values, int64_t count, int64_t step, int size) noexcept nogil:
    cdef int64_t k
    if step == size:
        memcpy(out, values, count * size)
    elif size == 1:
        for k in range(count):
            (<uint8_t *>(out + k * step))[0] = (<uint8_t *>values)[k]
    elif size == 2:
        for k in range(count):
            (<uint16_t *>(out + k * step))[0] = (<uint16_t *>values)[k]
    elif size == 4:
        for k in range(count):
            (<uint32_t *>(out + k * step))[0] = (<uint32_t *>values)[k]
    else:
        for k in range(count):
            (<uint64_t *>(out + k * step))[0] = (<uint64_t *>values)[k]


cdef void scatter(
    const Work *work, int64_t start, int64_t count, uint64_t index, char *out
) noexcept nogil:
    """Elements start ... start + count - 1 of one inner block, whose memory starts at `out`;
    element `start` has value `index`.
    """
    cdef char scratch[SCRATCH_BYTES]
    cdef int64_t place[AXES]
    cdef int64_t n, piece, done, rest = start, last = work.axes - 1, per = SCRATCH * work.per_tile
    cdef char *at = out
    cdef int axis
    for axis in range(work.axes - 1, work.outer - 1, -1):
        place[axis] = rest % work.axis[axis].count
        rest = rest / work.axis[axis].count
        at += place[axis] * work.axis[axis].memory
    while count:
        piece = min(count, per - <int64_t>(index % work.per_tile))
        if work.tiles != NULL:
            draw_run(work, index, piece, scratch)
        done = 0
        while done < piece:  # one row of the last axis at a time
            n = min(piece - done, work.axis[last].count - place[last])
            if work.tiles != NULL:
                put(at, scratch + done * work.itemsize, n, work.axis[last].memory, work.itemsize)
            else:
                put_constant(at, n, work.axis[last].memory, work.itemsize, work.constant)
            done += n
            at += n * work.axis[last].memory
            place[last] += n
            axis = last
            while place[axis] == work.axis[axis].count and axis > work.outer:
                at += work.axis[axis - 1].memory - place[axis] * work.axis[axis].memory
                place[axis] = 0
                axis -= 1
                place[axis] += 1
        index += piece
        count -= piece


cdef void draw_part(const Work *work, int64_t start, int64_t stop) noexcept nogil:
    """Elements start ... stop - 1 of the work's own C order."""
    cdef int64_t block, rest, within, n
    cdef uint64_t index
    cdef char *out
    cdef int axis
    while start < stop:
        block = start / work.inner
        within = start - block * work.inner
        n = min(work.inner - within, stop - start)
        index = work.first + within
        out = work.memory
        rest = block
        for axis in range(work.outer - 1, -1, -1):
            block = rest / work.axis[axis].count
            index += (rest - block * work.axis[axis].count) * work.axis[axis].index
            out += (rest - block * work.axis[axis].count) * work.axis[axis].memory
            rest = block
        if not work.direct:
            scatter(work, within, n, index, out)
        elif work.tiles != NULL:
            draw_run(work, index, n, out + within * work.itemsize)
        else:
            put_constant(
                out + within * work.itemsize, n, work.itemsize, work.itemsize, work.constant)
        start += n


cdef void in_memory_order(Work *work, int axes) noexcept nogil:
    """A constant has no index, so its axes are taken as the memory lies: largest steps first,
    none negative.
    """
    cdef Axis swap
    cdef int64_t step = 1
    cdef int j, k
    for k in range(axes):
        if work.axis[k].memory < 0:
            work.memory += (work.axis[k].count - 1) * work.axis[k].memory
            work.axis[k].memory = -work.axis[k].memory
        swap, j = work.axis[k], k
        while j and work.axis[j - 1].memory < swap.memory:
            work.axis[j] = work.axis[j - 1]
            j -= 1
        work.axis[j] = swap
    for k in range(axes - 1, -1, -1):
        work.axis[k].index = step
        step *= work.axis[k].count


cdef class Batch:
    """Many jobs as one list of chunks that any number of threads may take from."""

    cdef Work *works
    cdef Py_buffer *buffers
    cdef Py_ssize_t count, held
    cdef readonly int64_t values
    cdef int64_t next, drawn, cancelled, chunks

    def __cinit__(self, jobs):
        jobs = tuple(jobs)  # add() converts numbers, which may run code of the caller's
        self.count = len(jobs)
        self.works = <Work *>PyMem_Calloc(max(1, self.count), sizeof(Work))
        self.buffers = <Py_buffer *>PyMem_Calloc(max(1, self.count), sizeof(Py_buffer))
        if self.works == NULL or self.buffers == NULL:
            raise MemoryError
        cdef Py_ssize_t k
        for k in range(self.count):
            try:
                self.add(&self.works[k], jobs[k])
            except (OverflowError, BufferError) as error:
                raise ValueError(f"job {k}: {error}") from None
            self.values += self.works[k].values
            self.chunks += self.works[k].chunks

    def __dealloc__(self):
        cdef Py_ssize_t k
        if self.buffers != NULL:
            for k in range(self.held):
                PyBuffer_Release(&self.buffers[k])
        PyMem_Free(self.buffers)
        PyMem_Free(self.works)

    cdef add(self, Work *work, job):
        # Indices are not checked below.
        if not isinstance(job, tuple) or len(job) != 9:
            raise TypeError(f"a job is a tuple of nine, not {type(job).__name__}")
        cdef int draw = job[1], storage = job[2], k, axes = 0
        cdef tuple parameters = job[6], strides = job[8]
        cdef Py_buffer *buffer = &self.buffers[self.held]
        cdef Axis *axis = work.axis
        if draw < 0 or draw >= FI_DRAWS or storage < 0 or storage >= FI_STORAGES:
            raise ValueError(f"no draw {draw} into storage {storage}")
        PyObject_GetBuffer(job[0], buffer, PyBUF_STRIDED | PyBUF_WRITABLE)
        self.held += 1
        if len(strides) != buffer.ndim:
            raise ValueError(f"{len(strides)} index strides for {buffer.ndim} axes")
        work.draw.seed, work.draw.stream, work.draw.plane = job[3], job[4], job[5]
        work.memory = <char *>buffer.buf
        work.itemsize = buffer.itemsize
        work.first = job[7]
        work.per_tile = 32 if storage == FI_F64 or draw == FI_WORDS64 else 64
        if draw == FI_CONSTANT:
            if len(parameters) != 1:
                raise ValueError(f"{len(parameters)} parameters of a constant, which has one")
            if work.itemsize not in (1, 2, 4, 8):
                raise ValueError(f"a constant into items of {work.itemsize} bytes")
            work.constant = parameters[0]
        else:
            work.tiles = _isa.tiles[draw][storage]
            if work.tiles == NULL:
                raise ValueError(f"no draw {draw} into storage {storage}")
            if work.itemsize != (8, 4, 2, 2, 1, 1, 4, 8)[storage]:
                raise ValueError(f"storage {storage} into items of {work.itemsize} bytes")
            if len(parameters) > FI_PARAMETERS:
                raise ValueError(f"{len(parameters)} parameters")
            for k in range(len(parameters)):
                work.draw.parameters[k] = parameters[k]
        work.values = 1
        for k in range(buffer.ndim):  # axes of one element go
            work.values *= buffer.shape[k]
            if buffer.shape[k] != 1:
                if axes == AXES - 1:
                    raise ValueError(f"more than {AXES - 1} axes")
                axis[axes].count = buffer.shape[k]
                axis[axes].index = strides[k]
                axis[axes].memory = buffer.strides[k]
                axes += 1
        if draw == FI_CONSTANT and work.values:
            in_memory_order(work, axes)
        # Two axes that run on without a gap, in index and in memory, become one.
        k = 1
        while k < axes:
            if (axis[k - 1].index == axis[k].count * axis[k].index
                    and axis[k - 1].memory == axis[k].count * axis[k].memory):
                axis[k - 1].count *= axis[k].count
                axis[k - 1].index, axis[k - 1].memory = axis[k].index, axis[k].memory
                axes -= 1
                memmove(&axis[k], &axis[k + 1], (axes - k) * sizeof(Axis))
            else:
                k += 1
        if not axes or axis[axes - 1].index != 1:
            axis[axes].count, axis[axes].index, axis[axes].memory = 1, 1, work.itemsize
            axes += 1
        work.axes = axes
        work.inner = axis[axes - 1].count
        work.outer = axes - 1
        while work.outer and axis[work.outer - 1].index == work.inner:
            work.outer -= 1
            work.inner *= axis[work.outer].count
        work.direct = work.outer == axes - 1 and axis[axes - 1].memory == work.itemsize
        if work.direct and work.outer == 0 and work.values * work.itemsize >= LARGE:
            fi_advise(work.memory, work.values * work.itemsize)
            work.draw.non_temporal = work.values * work.itemsize >= NON_TEMPORAL
        # Chunks begin on whole tiles where the job is one run.
        work.shift = work.first % work.per_tile if work.outer == 0 else 0
        work.chunks = (work.values + work.shift + CHUNK - 1) / CHUNK if work.values else 0

    @property
    def done(self):
        """Values drawn so far."""
        return fi_add(&self.drawn, 0)

    def work(self, most):
        """Draw at most so many chunks (-1: all there are), the GIL off; True once none is left to
        take.
        """
        cdef int64_t chunk, start, stop, left_to_take = signed(most)
        cdef Py_ssize_t k = 0
        cdef int64_t before = 0
        cdef Work *work
        cdef uint64_t state
        cdef bint left = True
        if self.chunks == 1 and self.values <= SMALL:  # not worth giving up the GIL for
            if fi_add(&self.next, 1):
                return True
            state = fi_enter()
            while self.works[k].chunks == 0:
                k += 1
            draw_part(&self.works[k], 0, self.works[k].values)
            fi_leave(state)
            fi_add(&self.drawn, self.values)
            return True
        with nogil:
            state = fi_enter()
            while left_to_take:
                left_to_take -= 1
                if fi_add(&self.cancelled, 0):
                    left = False
                    break
                chunk = fi_add(&self.next, 1)
                if chunk >= self.chunks:
                    left = False
                    break
                while chunk >= before + self.works[k].chunks:  # chunks are taken in ascending order
                    before += self.works[k].chunks
                    k += 1
                work = &self.works[k]
                start = (chunk - before) * CHUNK - work.shift
                stop = min(start + CHUNK, work.values)
                start = max(start, 0)
                draw_part(work, start, stop)
                fi_add(&self.drawn, stop - start)
            fi_leave(state)
        return not left

    def cancel(self):
        fi_add(&self.cancelled, 1)


# ---------------------------------------------------------------------- a pass over what is there


cdef class Buffers:
    """Contiguous buffers, held until this object goes."""

    cdef Py_buffer views[4]
    cdef int held

    def __dealloc__(self):
        cdef int k
        for k in range(self.held):
            PyBuffer_Release(&self.views[k])

    cdef Py_buffer *take(self, memory, int flags) except NULL:
        cdef Py_buffer *view = &self.views[self.held]
        try:
            PyObject_GetBuffer(memory, view, flags)
        except BufferError as error:
            raise ValueError(f"memory that cannot be lent: {error}") from None
        self.held += 1
        return view


def scans_agree():
    """Whether scan() and digest() of the instruction set in use find what the scalar ones do."""
    cdef uint64_t state = fi_enter()
    cdef bint same = _isa == _list[0] or fi_scans_agree(_list[0], _isa)
    fi_leave(state)
    return same


def scan(values, code, start, width, table, rows, columns):
    """Add a chunk of values to a table and to sums of squares, the GIL off; returns its moments, as
    the same function of fastinit/reference/scan.py.
    """
    cdef Buffers buffers = Buffers()
    cdef fi_scan s
    cdef uint64_t state
    cdef int64_t size, count, storage = signed(code), first = signed(start), row = signed(width)
    if not 0 <= storage <= FI_E5M2:
        raise ValueError(f"no storage {storage}")
    size = (8, 4, 2, 2, 1, 1)[storage]
    cdef Py_buffer *given = buffers.take(values, PyBUF_SIMPLE)
    cdef Py_buffer *counts = buffers.take(table, PyBUF_SIMPLE | PyBUF_WRITABLE)
    cdef Py_buffer *by_row = buffers.take(rows, PyBUF_SIMPLE | PyBUF_WRITABLE)
    cdef Py_buffer *by_column = buffers.take(columns, PyBUF_SIMPLE | PyBUF_WRITABLE)
    count = given.len / size
    if given.len % size or counts.len != 8 << 16 or first < 0 or row < 0 or first >> 62:
        raise ValueError(f"{given.len} bytes of items of {size}, a table of {counts.len} bytes")
    if row and count and (
        by_column.len % 8 or by_column.len / 8 != row  # 8 * row may overflow
        or by_row.len / 8 <= (first + count - 1) / row - first / row
    ):
        raise ValueError(f"sums of {by_row.len} and {by_column.len} bytes for rows of {row}")
    s.code, s.start, s.width = storage, first, row
    s.table, s.rows, s.columns = <uint64_t *>counts.buf, <double *>by_row.buf, <double *>by_column.buf
    s.values = s.zeros = s.subnormals = 0
    s.mean = s.m2 = s.m3 = s.m4 = 0.0
    s.low, s.high = float("inf"), -float("inf")
    with nogil:
        state = fi_enter()
        _isa.scan(&s, given.buf, count)
        fi_leave(state)
    return s.values, s.mean, s.m2, s.m3, s.m4, s.low, s.high, s.zeros, s.subnormals


def digest(values, page, pages):
    """A number of the bytes and their places, and one of each page, likewise."""
    cdef Buffers buffers = Buffers()
    cdef Py_buffer *given = buffers.take(values, PyBUF_SIMPLE)
    cdef Py_buffer *each = buffers.take(pages, PyBUF_SIMPLE | PyBUF_WRITABLE)
    cdef uint64_t found, first = unsigned(page)
    if each.len != 8 * (given.len // FI_PAGE):
        raise ValueError(f"{each.len} bytes for the pages of {given.len}")
    with nogil:
        found = _isa.digest(given.buf, given.len, first, <uint64_t *>each.buf)
    return found
