"""Section 8 of the page fastinit/stream-v1.md implemented a second time, one number after another.

The draws come from scalar_v1.py.  Nothing here may import fastinit or NumPy, nor be fast.  A
float32 is kept in a float of Python; sums of products are exact in whole numbers of 2^-298 and
rounded once.  `python tests/vectors/scalar_orthogonal_v1.py` writes orthogonal.txt anew: "head :
bits ..." in C order, or their SHA-256 (little-endian bytes) where there are many.  A head:
initializer, dtype, seed, stream, layout, gain, number of batch axes (the first ones), shape.
"""

import hashlib
import math
import pathlib

import scalar_v1 as scalar

HERE = pathlib.Path(__file__).parent
FIRST_LINE = (
    "# Written by `python tests/vectors/scalar_orthogonal_v1.py` from fastinit/stream-v1.md; do "
    "not edit.\n"
)
MOST = 64  # values that a line shows one by one
BLOCK = 64


def fma32(a: float, b: float, c: float) -> float:
    n = int(a * 2.0**149) * int(b * 2.0**149) + (int(c * 2.0**149) << 149)
    size = abs(n)
    drop = max(size.bit_length() - 24, 149)  # below 2^-126 the last place stays at 2^-149
    kept, rest, half = size >> drop, size & ((1 << drop) - 1), 1 << (drop - 1)
    kept += rest > half or (rest == half and kept & 1)
    return math.ldexp(-kept if n < 0 else kept, drop - 298)


class Type:
    """A working type: how to round, one step of a chain, and the draws."""

    def __init__(self, dtype: str):
        self.word = scalar.word_of(dtype)
        self.round = scalar.rounding_of(self.word)
        self.name = "float32" if self.word == 32 else "float64"

    def step(self, a: float, b: float, acc: float) -> float:
        return fma32(a, b, acc) if self.word == 32 else acc + a * b

    def chain(self, a, b, acc=0.0):
        for left, right in zip(a, b, strict=True):
            acc = self.step(left, right, acc)
        return acc

    def gaussian(self, seed: int, stream: int, i: int) -> float:
        return float(scalar.decode(scalar.normal(seed, stream, i, self.name, 0.0, 1.0), self.name))


def columns_of_q(kind: Type, seed: int, stream: int, p: int, q: int, t: int):
    """Steps 1 to 5: the columns of Q, each a list of q numbers."""
    v, tau, d = [], [], []
    for k in range(p):
        g = [kind.gaussian(seed, stream, (t * p + k) * q + j) for j in range(k, q)]
        total = 0.0
        for x in g:
            total = total + x * x
        if total == 0.0:
            v.append([0.0] * q)
            tau.append(0.0)
            d.append(1.0)
            continue
        sign = 1.0 if g[0] >= 0 else -1.0
        pivot = kind.round(g[0] + sign * kind.round(math.sqrt(total)))
        tau.append(kind.round(2.0 / ((total - g[0] * g[0]) + pivot * pivot)))
        d.append(-sign)
        v.append([0.0] * k + [pivot] + g[1:])
    columns = [[d[c] if j == c else 0.0 for j in range(q)] for c in range(p)]
    for first in reversed(range(0, p, BLOCK)):
        block = range(first, min(first + BLOCK, p))
        t_of = {(r, c): 0.0 for r in block for c in block}
        for i in block:
            for r in range(first, i):
                s = kind.chain(
                    [t_of[r, c] for c in range(r, i)], [kind.chain(v[c], v[i]) for c in range(r, i)]
                )
                t_of[r, i] = -kind.round(tau[i] * s)
            t_of[i, i] = tau[i]
        # Earlier columns are still zero where the block's reflectors are not.
        for c in range(first, p):
            y = {r: kind.chain(v[r], columns[c]) for r in block}
            z = {r: kind.chain([t_of[r, k] for k in block], [y[k] for k in block]) for r in block}
            for j in range(first, q):
                columns[c][j] = kind.chain(
                    [-v[r][j] for r in block], [z[r] for r in block], columns[c][j]
                )
    return columns


def matrix(kind: Type, seed: int, stream: int, rows: int, columns: int, t: int):
    """W as a list of rows, before gain."""
    q = columns_of_q(kind, seed, stream, min(rows, columns), max(rows, columns), t)
    return q if rows <= columns else [list(row) for row in zip(*q, strict=True)]


def finish(kind: Type, dtype: str, gain: float, values):
    gain = kind.round(gain + 0.0)
    return [scalar.store(kind.round(kind.round(x * gain) + 0.0), dtype) for x in values]


def orthogonal(dtype, seed, stream, layout, gain, batch, shape):
    kind = Type(dtype)
    own = shape[batch:]
    rows, columns = (
        (own[0], math.prod(own[1:])) if layout == "oi" else (math.prod(own[:-1]), own[-1])
    )
    values = []
    for t in range(math.prod(shape[:batch])):
        for row in matrix(kind, seed, stream, rows, columns, t):
            values += row
    return finish(kind, dtype, gain, values)


def in_kernel(dtype, layout, gain, shape, taps):
    """The bits of a convolution's weight of this shape; taps[place] is a list of rows (in) of
    numbers (out).
    """
    kind, kernel = Type(dtype), shape[2:] if layout == "oi" else shape[:-2]
    out, into = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    places = [()]
    for side in kernel:
        places = [(*place, k) for place in places for k in range(side)]
    zero = [[0.0] * out for _ in range(into)]
    blocks = {place: taps.get(place, zero) for place in places}
    if layout == "oi":
        values = [blocks[place][i][o] for o in range(out) for i in range(into) for place in places]
    else:
        values = [blocks[place][i][o] for place in places for i in range(into) for o in range(out)]
    return finish(kind, dtype, gain, values)


def delta_orthogonal(dtype, seed, stream, layout, gain, batch, shape):
    out, into = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    centre = tuple((side - 1) // 2 for side in kernel)
    if layout == "oi":
        rows = [
            list(row) for row in zip(*matrix(Type(dtype), seed, stream, out, into, 0), strict=True)
        ]
    else:
        rows = matrix(Type(dtype), seed, stream, into, out, 0)
    return in_kernel(dtype, layout, gain, shape, {centre: rows})


def convolutional_orthogonal(dtype, seed, stream, layout, gain, batch, shape):
    kind = Type(dtype)
    n, into = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    kernel = shape[2:] if layout == "oi" else shape[:-2]
    axes = len(kernel)
    taps = {(0,) * axes: matrix(kind, seed, stream, into, n, 0)}
    for number in range(axes * (kernel[0] - 1)):
        q = columns_of_q(kind, seed, stream, n, n, number + 1)
        kept = []
        for c in range(n):  # one word of plane 2 a column
            i = number * n + c
            words = scalar.block_words(seed, stream, (2 << 56) + 16 * (i // 64) + i % 16)
            if words[i % 64 // 16] < 1 << 31:
                kept.append(q[c])
        p = [
            [kind.chain([c[a] for c in kept], [c[b] for c in kept]) for b in range(n)]
            for a in range(n)
        ]
        other = [[kind.round(float(a == b) - p[a][b]) for b in range(n)] for a in range(n)]
        axis, grown = number % axes, {}
        places = set(taps) | {tuple(k + (a == axis) for a, k in enumerate(place)) for place in taps}
        for place in places:
            before = tuple(k - (a == axis) for a, k in enumerate(place))
            block = [[0.0] * n for _ in range(into)]
            for tap, factor in ((before, other), (place, p)):
                if tap in taps:
                    for i in range(into):
                        for b in range(n):
                            block[i][b] = kind.chain(
                                taps[tap][i], [factor[a][b] for a in range(n)], block[i][b]
                            )
            grown[place] = block
        taps = grown
    return in_kernel(dtype, layout, gain, shape, taps)


INITIALIZERS = {f.__name__: f for f in (orthogonal, delta_orthogonal, convolutional_orthogonal)}


def complete(head: str) -> str:
    name, dtype, seed, stream, layout, gain, batch, *shape = head.split()
    shape = tuple(map(int, shape))
    bits = INITIALIZERS[name](
        dtype, int(seed), int(stream), layout, float.fromhex(gain), int(batch), shape
    )
    width = scalar.FORMATS[dtype][3]
    if len(bits) <= MOST:
        return f"{head} : {' '.join(f'{b:0{width // 4}x}' for b in bits)}"
    return (
        f"{head} : sha256 "
        f"{hashlib.sha256(b''.join(b.to_bytes(width // 8, 'little') for b in bits)).hexdigest()}"
    )


def heads():
    one, gain = (1.0).hex(), (1.41).hex()
    for dtype in scalar.FORMATS:
        yield f"orthogonal {dtype} 0 0 oi {one} 0 3 5"
        yield f"orthogonal {dtype} 18446744073709551615 9223372036854775808 io {gain} 1 2 4 3"
        yield f"orthogonal {dtype} 7 822900612925564463 oi {(-0.5).hex()} 0 65 66"
        yield f"delta_orthogonal {dtype} 3 4 oi {gain} 0 3 2 4"
        yield f"convolutional_orthogonal {dtype} 3 4 oi {gain} 0 3 2 3"
    for dtype in ("float64", "float32"):
        for shape in ("1 1", "1 6", "6 1", "5 5", "4 2 2 2", "64 64", "130 66", "66 130"):
            for layout in ("oi", "io"):
                yield f"orthogonal {dtype} 5 6 {layout} {one} 0 {shape}"
        yield f"orthogonal {dtype} 5 6 oi {one} 2 2 2 3 4"
        yield f"delta_orthogonal {dtype} 8 9 io {one} 0 3 2 5 6"
        yield f"delta_orthogonal {dtype} 8 9 oi {one} 0 4 4 2"
        yield f"delta_orthogonal {dtype} 8 9 io {one} 0 2 4 4"
        yield f"convolutional_orthogonal {dtype} 8 9 io {one} 0 2 4 4"
        yield f"convolutional_orthogonal {dtype} 8 9 io {one} 0 1 3 4"
        yield f"convolutional_orthogonal {dtype} 8 9 io {one} 0 3 3 5 6"
        yield f"convolutional_orthogonal {dtype} 8 9 oi {one} 0 4 4 3 3"
        yield f"convolutional_orthogonal {dtype} 8 9 oi {one} 0 3 2 3 3 3"
        yield f"convolutional_orthogonal {dtype} 8 9 oi {one} 0 66 3 2"


if __name__ == "__main__":
    lines = [complete(head) + "\n" for head in heads()]
    (HERE / "orthogonal.txt").write_text(FIRST_LINE + "".join(lines), "utf-8", newline="\n")
