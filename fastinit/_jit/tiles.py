"""Fixed-order dot products as LLVM IR: one step, a register tile of many, and products of strips.

Nothing else in the library fuses multiply and add.  The target CPU is Numba's (set by
NUMBA_CPU_NAME and NUMBA_CPU_FEATURES), which is also part of the key of its cache.  A strip is row
after row of 64 numbers, without gaps.  Functions take whole arrays and offsets: slices, which numba
types as possibly strided, made this 6 times slower.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .._core.stream import ORTHOGONAL_BLOCK as BLOCK
from . import inner

ROWS = 4  # rows of one register tile: strips are allocated in multiples of it
NARROW = 16  # columns of a narrow tile

INDEX = ir.IntType(64)


def _number(value):
    return ir.Constant(INDEX, value)


def _target(context):
    """For the machine that is compiled for: the bytes of a vector register, the number of vector
    registers, and whether it can fuse multiply and add.
    """
    triple, _, features = context.codegen().magic_tuple()
    architecture = triple.split("-")[0]
    if architecture in ("x86_64", "i386", "i686", "amd64"):
        features = set(features.split(","))
        if "+avx512f" in features:
            return 64, 32, True
        return 32 if "+avx" in features else 16, 16, "+fma" in features
    return (
        16,
        32,
        architecture in ("aarch64", "arm64", "powerpc64le", "ppc64le", "s390x", "riscv64"),
    )


def _step(context, builder, a, b, acc, lanes):
    """acc + a * b: rounded once in float32, twice in float64."""
    kind = acc.type if lanes == 1 else acc.type.element
    if isinstance(kind, ir.DoubleType):
        return builder.fadd(acc, builder.fmul(a, b))  # bits: in float64 the product is rounded too
    if _target(context)[2]:
        name = "llvm.fma.f32" if lanes == 1 else f"llvm.fma.v{lanes}f32"
        function = builder.module.globals.get(name)
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(acc.type, [acc.type] * 3), name)
        return builder.call(function, [a, b, acc])
    # The machine has no such instruction, and LLVM would call libm's function.  Instead: the exact
    # product, the sum in float64 rounded to odd, then rounded to float32.
    wide, word = (
        k if lanes == 1 else ir.VectorType(k, lanes) for k in (ir.DoubleType(), ir.IntType(64))
    )

    def constant(value):
        return ir.Constant(word, value if lanes == 1 else [value] * lanes)

    p = builder.fmul(builder.fpext(a, wide), builder.fpext(b, wide))
    c = builder.fpext(acc, wide)
    s = builder.fadd(p, c)
    t = builder.fsub(s, p)
    # bits: Knuth's TwoSum.
    error = builder.fadd(builder.fsub(p, builder.fsub(s, t)), builder.fsub(c, t))
    bits = builder.bitcast(s, word)
    opposite = builder.ashr(builder.xor(bits, builder.bitcast(error, word)), constant(63))
    zero = ir.Constant(wide, 0.0 if lanes == 1 else [0.0] * lanes)
    even = builder.icmp_signed("==", builder.and_(bits, constant(1)), constant(0))
    to_odd = builder.and_(builder.fcmp_unordered("!=", error, zero), even)
    odd = builder.select(to_odd, builder.add(bits, builder.or_(opposite, constant(1))), bits)
    return builder.fptrunc(builder.bitcast(odd, wide), acc.type)


@intrinsic
def step(typingctx, a, b, acc):
    """One step of a chain on scalars."""

    def emit(context, builder, signature, args):
        return _step(context, builder, *args, 1)

    return acc(acc, acc, acc), emit


def _tile(columns, a_row, a_step):
    """A tile of ROWS by `columns`: the chains of c[m, x] continue over k < steps with
    a[m * a_row + k * a_step] * b[k, x].
    """

    @intrinsic
    def tile(typingctx, a, a_at, b, b_at, c, c_at, row, steps):
        signature = types.void(a, types.intp, b, types.intp, c, types.intp, types.intp, types.intp)

        def emit(context, builder, signature, args):
            size = context.get_abi_sizeof(context.get_data_type(a.dtype))
            register, registers, fused = _target(context)
            fused = fused or size == 8
            # Accumulators in registers: 4 by 4 where there are 32 registers (240 of 242 GFLOP/s on
            # one Zen 5 core), 4 by 2 where there are 16.
            lanes = min(register // size, columns) if fused else NARROW
            vectors = min((4 if registers == 32 else 2) if fused else 1, columns // lanes)
            high = ROWS if fused else 1
            for m in range(0, ROWS, high):
                for x in range(0, columns, lanes * vectors):
                    _emit_tile(
                        context,
                        builder,
                        signature,
                        args,
                        (m, x, high, vectors, lanes, a_row, a_step),
                    )
            return context.get_dummy_value()

        return signature, emit

    return tile


def _emit_tile(context, builder, signature, args, place):
    first_row, first_column, rows, vectors, lanes, a_row, a_step = place
    data = [
        context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 2, 4)
    ]
    a_at, b_at, c_at, row, steps = (args[k] for k in (1, 3, 5, 6, 7))
    scalar = context.get_data_type(signature.args[0].dtype)
    align = context.get_abi_alignment(scalar)
    vector = ir.VectorType(scalar, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    lowest = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    zero = ir.Constant(ir.IntType(32), 0)
    a = builder.gep(data[0], [builder.add(a_at, _number(first_row * a_row))])
    b = builder.gep(data[1], [builder.add(b_at, _number(first_column))])
    c = []
    for m in range(rows):
        line = builder.add(c_at, builder.mul(row, _number(first_row + m)))
        c.append(builder.gep(data[2], [builder.add(line, _number(first_column))]))
    places = [(m, x) for m in range(rows) for x in range(vectors)]

    def vector_at(base, x):
        return builder.bitcast(builder.gep(base, [_number(x * lanes)]), vector.as_pointer())

    before = {(m, x): builder.load(vector_at(c[m], x), align=align) for m, x in places}
    entry, body, after = (
        builder.block,
        builder.append_basic_block("step"),
        builder.append_basic_block("stored"),
    )
    builder.cbranch(builder.icmp_signed(">", steps, _number(0)), body, after)

    builder.position_at_end(body)
    k = builder.phi(INDEX)
    k.add_incoming(_number(0), entry)
    acc = {place: builder.phi(vector) for place in places}
    line = builder.gep(b, [builder.mul(k, row)])
    right = [builder.load(vector_at(line, x), align=align) for x in range(vectors)]
    left = builder.gep(a, [builder.mul(k, _number(a_step))])
    result = {}
    for m in range(rows):
        one = builder.load(builder.gep(left, [_number(m * a_row)]))
        every = builder.shuffle_vector(
            builder.insert_element(undefined, one, zero), undefined, lowest
        )
        for x in range(vectors):
            result[m, x] = _step(context, builder, every, right[x], acc[m, x], lanes)
    following = builder.add(k, _number(1))
    k.add_incoming(following, body)
    for place in places:
        acc[place].add_incoming(before[place], entry)
        acc[place].add_incoming(result[place], body)
    builder.cbranch(builder.icmp_signed("<", following, steps), body, after)

    builder.position_at_end(after)
    last = {place: builder.phi(vector) for place in places}
    for m, x in places:
        last[m, x].add_incoming(before[m, x], entry)
        last[m, x].add_incoming(result[m, x], body)
    for m, x in places:
        builder.store(last[m, x], vector_at(c[m], x), align=align)


_along_wide, _along_narrow = _tile(BLOCK, 1, BLOCK), _tile(NARROW, 1, BLOCK)
_across_wide, _across_narrow = _tile(BLOCK, BLOCK, 1), _tile(NARROW, BLOCK, 1)


@inner
def along(a, a_at, rows, b, b_at, c, c_at, width, columns, steps):
    """c[r, x] += sum over j < steps of a[j, r] * b[j, x], r < rows (rounded up to whole tiles)."""
    for r in range(0, rows, ROWS):
        if columns == BLOCK:
            _along_wide(a, a_at + r, b, b_at, c, c_at + r * width, width, steps)
        else:
            for x in range(0, columns, NARROW):
                _along_narrow(a, a_at + r, b, b_at + x, c, c_at + r * width + x, width, steps)


@inner
def across(a, a_at, rows, b, b_at, c, c_at, width, columns, steps):
    """c[j, x] += sum over r < steps of a[j, r] * b[r, x], j < rows (rounded up to whole tiles)."""
    for j in range(0, rows, ROWS):
        if columns == BLOCK:
            _across_wide(a, a_at + j * BLOCK, b, b_at, c, c_at + j * width, width, steps)
        else:
            for x in range(0, columns, NARROW):
                _across_narrow(
                    a, a_at + j * BLOCK, b, b_at + x, c, c_at + j * width + x, width, steps
                )


# --------------------------------------------------------------------------------------- transposes


def transposed(builder, rows):
    """Eight vectors of eight, rows and columns exchanged: by halves, quarters and pairs."""
    index = ir.VectorType(ir.IntType(32), 8)
    for distance in (4, 2, 1):
        # From each pair of rows a (places 0-7) and b (8-15) take the groups at even places, then
        # those at odd places.
        even = [k if not k & distance else 8 + (k ^ distance) for k in range(8)]
        masks = [ir.Constant(index, [k + shift for k in even]) for shift in (0, distance)]
        for k in range(8):
            if not k & distance:
                pair = rows[k], rows[k + distance]
                rows[k], rows[k + distance] = (
                    builder.shuffle_vector(*pair, mask) for mask in masks
                )
    return rows


@intrinsic
def transpose(typingctx, a, a_at, a_row, b, b_at, b_row):
    """b[k, r] = a[r, k] for r, k < 8."""
    signature = types.void(a, types.intp, types.intp, b, types.intp, types.intp)

    def emit(context, builder, signature, args):
        data = [
            context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 3)
        ]
        scalar = context.get_data_type(a.dtype)
        pointer, align = ir.VectorType(scalar, 8).as_pointer(), context.get_abi_alignment(scalar)

        def place(base, at, row, k):
            return builder.bitcast(
                builder.gep(base, [builder.add(at, builder.mul(row, _number(k)))]), pointer
            )

        rows = [builder.load(place(data[0], args[1], args[2], k), align=align) for k in range(8)]
        for k, row in enumerate(transposed(builder, rows)):
            builder.store(row, place(data[1], args[4], args[5], k), align=align)
        return context.get_dummy_value()

    return signature, emit
