"""From strips of Q to the destination: scaled, rounded once, written to any strides.

Called by ../_orthogonal/compiled.py.  The same roundings in NumPy: store() of ../reference.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from . import Entry, inner
from .tiles import transposed

NEAR = 16  # rows written at a time: one cache line, if the destination is contiguous across rows
_ONE = np.uint32(1)


@intrinsic
def _bits(typingctx, x):
    """The bits of a float."""
    bits = types.uint32 if x == types.float32 else types.uint64

    def emit(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_data_type(bits))

    return bits(x), emit


@intrinsic
def _float(typingctx, bits):
    """The float32 of these bits."""

    def emit(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), emit


@intrinsic
def _poke(typingctx, address, value):
    """Write an integer to an address.  A destination may have any strides, and so one compiled form
    serves all widths.
    """

    def emit(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], args[1].type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, value), emit


@inner
def _narrowed(x, mantissa, bias):
    """The bits of a float32 rounded to nearest even in a narrower format, where it is finite."""
    bits = _bits(x)
    size = bits & np.uint32(0x7FFFFFFF)
    drop = np.uint32(23 - mantissa)
    half = (_ONE << (drop - _ONE)) - _ONE
    normal = ((size + half + ((size >> drop) & _ONE)) >> drop) - np.uint32((127 - bias) << mantissa)
    # Below the smallest normal number the spacing is fixed, so adding 2^23 spacings makes float32
    # itself do the rounding.
    magic = np.uint32(23 + 1 - bias - mantissa + 127) << np.uint32(23)
    subnormal = _bits(_float(size) + _float(magic)) - magic
    return subnormal if size < np.uint32(128 - bias) << np.uint32(23) else normal


@inner
def _put(address, bits, itemsize):
    if itemsize == 4:
        _poke(address, np.uint32(bits))
    elif itemsize == 2:
        _poke(address, np.uint16(bits))
    elif itemsize == 1:
        _poke(address, np.uint8(bits))
    else:
        _poke(address, np.uint64(bits))


@inner
def _scale(out, start, stop, gain, zero):
    for i in range(start, stop):
        out[i] = out[i] * gain + zero  # bits: product and sum rounded; -0 becomes +0


@inner
def _narrow(out, start, stop, mantissa, bias, itemsize):
    for i in range(start, stop):
        sign = (_bits(out[i]) >> np.uint32(31)) << np.uint32(8 * itemsize - 1)
        out[i] = _float(_narrowed(out[i], mantissa, bias) | sign)


def _block(itemsize, exchanged):
    """Write the bits of eight rows of eight values, starting at an address and `stride` apart;
    transposed if `exchanged`.
    """

    @intrinsic
    def block(typingctx, out, at, row, address, stride):
        signature = types.void(out, types.intp, types.intp, types.intp, types.intp)

        def emit(context, builder, signature, args):
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            wide, thin = ir.IntType(out.dtype.bitwidth), ir.IntType(8 * itemsize)
            if thin.width > wide.width:  # never called: only float64 is stored as float64
                return context.get_dummy_value()
            rows = []
            for k in range(8):
                offset = builder.add(args[1], builder.mul(args[2], ir.Constant(args[2].type, k)))
                source = builder.bitcast(
                    builder.gep(data, [offset]), ir.VectorType(wide, 8).as_pointer()
                )
                rows.append(builder.load(source, align=out.dtype.bitwidth // 8))
            for k, values in enumerate(transposed(builder, rows) if exchanged else rows):
                to = builder.add(args[3], builder.mul(args[4], ir.Constant(args[4].type, k)))
                if wide != thin:
                    values = builder.trunc(values, ir.VectorType(thin, 8))
                builder.store(values, builder.inttoptr(to, values.type.as_pointer()), align=1)
            return context.get_dummy_value()

        return signature, emit

    return block


_exchange1, _exchange2, _exchange4, _exchange8 = (
    _block(itemsize, True) for itemsize in (1, 2, 4, 8)
)
_copy1, _copy2, _copy4, _copy8 = (_block(itemsize, False) for itemsize in (1, 2, 4, 8))


@inner
def _write_block(out, at, row, to, stride, itemsize, exchanged):
    if itemsize == 8:
        if exchanged:
            _exchange8(out, at, row, to, stride)
        else:
            _copy8(out, at, row, to, stride)
    elif itemsize == 4:
        if exchanged:
            _exchange4(out, at, row, to, stride)
        else:
            _copy4(out, at, row, to, stride)
    elif itemsize == 2:
        if exchanged:
            _exchange2(out, at, row, to, stride)
        else:
            _copy2(out, at, row, to, stride)
    elif exchanged:
        _exchange1(out, at, row, to, stride)
    else:
        _copy1(out, at, row, to, stride)


@inner
def _scatter(out, at, row, count, rows, to, by_column, by_row, itemsize):
    whole_rows, whole = 0, 0
    if by_row == itemsize or by_column == itemsize:
        whole_rows, whole = rows // NEAR * NEAR, count // 8 * 8
        # One cache line at a time, where the destination is contiguous along rows of Q.
        for j in range(0, whole_rows, NEAR):
            for x in range(0, whole, 8):
                for i in range(j, j + NEAR, 8):
                    start, address = at + i * row + x, to + i * by_row + x * by_column
                    if by_row == itemsize:
                        _write_block(out, start, row, address, by_column, itemsize, True)
                    else:
                        _write_block(out, start, row, address, by_row, itemsize, False)
    for i in range(rows):
        for x in range(whole if i < whole_rows else 0, count):
            _put(to + i * by_row + x * by_column, _bits(out[at + i * row + x]), itemsize)


@Entry
def store(out, matrices, size, width, used, skip, rows, gain, zero, address, steps, itemsize):
    """Scale strips of Q and write `rows` rows of them, after the first `skip`, to the destination.

    `steps` are its strides in bytes: (matrix, column of Q, row of Q).
    """
    strips = len(used)
    for i in range(matrices):
        for s in range(strips):
            at = (i * strips + s) * size + skip * width
            to = address + i * steps[0] + s * width * steps[1]
            _scale(out, at, at + rows * width, gain, zero)
            _scatter(out, at, width, used[s], rows, to, steps[1], steps[2], itemsize)


@Entry
def store_narrow(
    out,
    matrices,
    size,
    width,
    used,
    skip,
    rows,
    gain,
    zero,
    address,
    steps,
    itemsize,
    mantissa,
    bias,
):
    """The same, rounded from float32 to a narrower format in between."""
    strips = len(used)
    for i in range(matrices):
        for s in range(strips):
            at = (i * strips + s) * size + skip * width
            to = address + i * steps[0] + s * width * steps[1]
            _scale(out, at, at + rows * width, gain, zero)
            _narrow(out, at, at + rows * width, mantissa, bias, itemsize)
            _scatter(out, at, width, used[s], rows, to, steps[1], steps[2], itemsize)
