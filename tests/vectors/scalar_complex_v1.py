"""Section 12 of the page fastinit/stream-v1.md, complex tensors, implemented a second time.

The draws come from scalar_v1.py.  Nothing here may import fastinit or NumPy.  A float32 is kept in
a float of Python, and every operation is rounded to it.  `python
tests/vectors/scalar_complex_v1.py` writes complex.txt anew: "head : bits ..." of the real and the
imaginary part of each element in C order.  A head: initializer, dtype, seed, stream, the
initializer's own arguments, shape.
"""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scalar_v1 as v1  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FIRST_LINE = (
    "# Written by `python tests/vectors/scalar_complex_v1.py` from fastinit/stream-v1.md; do not "
    "edit.\n"
)
HALF, TWO, M = map(
    float.fromhex, ("0x1.6a09e667f3bcdp-1", "0x1.6a09e667f3bcdp+0", "0x1.ec8642be975ffp-1")
)
PARTS = {"complex64": "float32", "complex128": "float64"}


class Draws:
    """The working type of a complex dtype, and the real normals of one seed and stream."""

    def __init__(self, dtype: str, seed: int, stream: int):
        self.parts, self.seed, self.stream = PARTS[dtype], seed, stream
        self.round = v1.rounding_of(v1.word_of(self.parts))

    def normal(self, k: int, std: float = 1.0) -> float:
        bits = v1.normal(self.seed, self.stream, k, self.parts, 0.0, std)
        return float(v1.decode(bits, self.parts))


# Elementwise
# --------------------------------------------------------------------------------------------


def fan_count(shape: tuple[int, ...], layout: str, mode: str) -> float:
    if layout == "oi":
        fan_in, fan_out = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    else:
        fan_in, fan_out = (side * math.prod(shape[:-2]) for side in shape[-2:])
    return {
        "fan_in": fan_in,
        "fan_out": fan_out,
        "fan_avg": (fan_in + fan_out) / 2,
        "fan_geo_avg": math.sqrt(fan_in * fan_out),
    }[mode]


def normal(draws: Draws, i: int, size: float, mean: float):
    r = draws.round
    return r(draws.normal(2 * i, size) + r(mean)), draws.normal(2 * i + 1, size)


def truncated(draws: Draws, i: int, size: float):
    r = draws.round
    a, b = draws.normal(2 * i), draws.normal(2 * i + 1)
    t = r(r(a * a) + r(b * b))
    if t >= 8.0:
        rest = r(math.sqrt(r(math.fmod(t, 8.0) / t)))
        a, b = r(a * rest), r(b * rest)
    return r(a * size), r(b * size)


def disk(draws: Draws, i: int, size: float):
    r = draws.round
    a, b, c, d = (draws.normal(4 * i + k) for k in range(4))
    t = r(r(r(a * a) + r(b * b)) + r(r(c * c) + r(d * d)))
    rest = r(size / r(math.sqrt(1.0 if t == 0.0 else t)))
    return r(a * rest), r(b * rest)


def variance_scaling(draws: Draws, distribution, scale, mode, layout, shape):
    sigma = draws.round(math.sqrt(float.fromhex(scale) / fan_count(shape, layout, mode)))
    everywhere = range(math.prod(shape))
    if distribution == "normal":
        size = draws.round(sigma * HALF)
        return [normal(draws, i, size, 0.0) for i in everywhere]
    if distribution == "truncated_normal":
        size = draws.round(sigma / M * HALF)
        return [truncated(draws, i, size) for i in everywhere]
    size = draws.round(sigma * TWO)
    return [disk(draws, i, size) for i in everywhere]


def normals(draws: Draws, mean, std, shape):
    size = draws.round(draws.round(float.fromhex(std)) * HALF)
    return [normal(draws, i, size, float.fromhex(mean)) for i in range(math.prod(shape))]


def constant(draws: Draws, real, imaginary, shape):
    value = draws.round(float.fromhex(real)), draws.round(float.fromhex(imaginary))
    return [value] * math.prod(shape)


def eye(draws: Draws, gain, shape):
    gain = draws.round(float.fromhex(gain))
    rows, columns = shape[-2:]
    one = [(gain if r == c else 0.0, 0.0) for r in range(rows) for c in range(columns)]
    return one * math.prod(shape[:-2])


# Unitary
# ------------------------------------------------------------------------------------------------


def total(terms: list[float]) -> float:
    n = len(terms)
    while n > 1:
        half = n // 2
        folded = [terms[r] + terms[half + r] for r in range(half)]
        if n % 2:
            folded[0] = folded[0] + terms[n - 1]
        terms, n = folded, half
    return terms[0]


def orthonormalized(columns):
    """Each column is a pair: the list of its real parts and the list of its imaginary ones."""
    columns = list(columns)
    for j, (a, b) in enumerate(columns):
        norm = math.sqrt(total([p * p + q * q for p, q in zip(a, b, strict=True)]))
        a, b = [p / norm for p in a], [q / norm for q in b]
        columns[j] = a, b
        for k in range(j + 1, len(columns)):
            c, d = columns[k]
            rows = list(zip(a, b, c, d, strict=True))
            x = total([p * u + q * v for p, q, u, v in rows])
            y = total([p * v - q * u for p, q, u, v in rows])
            columns[k] = (
                [u - (p * x - q * y) for p, q, u, v in rows],
                [v - (p * y + q * x) for p, q, u, v in rows],
            )
    return columns


def product(x, y):
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def times(gain: float, a: float, b: float):
    turned = product((0.0, 1.0), (b, 0.0))
    return product((a + turned[0], 0.0 + turned[1]), (gain, 0.0))


def unitary_rows(draws: Draws, gain: float, rows: int, columns: int):
    long, short = max(rows, columns), min(rows, columns)
    places = [[2 * (r * short + j) for r in range(long)] for j in range(short)]
    q = [([draws.normal(k) for k in ks], [draws.normal(k + 1) for k in ks]) for ks in places]
    for _ in range(2 if draws.parts == "float64" else 1):
        q = orthonormalized(q)
    q = [
        [tuple(map(draws.round, times(gain, a, b))) for a, b in zip(*column, strict=True)]
        for column in q
    ]
    return q if rows < columns else [list(row) for row in zip(*q, strict=True)]


def orthogonal(draws: Draws, gain, shape):
    rows = unitary_rows(draws, float.fromhex(gain), math.prod(shape[:-1]), shape[-1])
    return [value for row in rows for value in row]


def delta_orthogonal(draws: Draws, gain, shape):
    centre, size = 0, math.prod(shape[-2:])
    for side in shape[:-2]:
        centre = centre * side + (side - 1) // 2
    values = [(0.0, 0.0)] * math.prod(shape)
    rows = unitary_rows(draws, float.fromhex(gain), *shape[-2:])
    values[centre * size : (centre + 1) * size] = [value for row in rows for value in row]
    return values


# The table
# ----------------------------------------------------------------------------------------------

# Each initializer and how many arguments of its own a head holds before the shape.
INITIALIZERS = {
    "constant": (constant, 2),
    "eye": (eye, 1),
    "normal": (normals, 2),
    "variance_scaling": (variance_scaling, 4),
    "orthogonal": (orthogonal, 1),
    "delta_orthogonal": (delta_orthogonal, 1),
}


def complete(head: str) -> str:
    name, dtype, seed, stream, *rest = head.split()
    function, count = INITIALIZERS[name]
    draws = Draws(dtype, int(seed), int(stream))
    values = function(draws, *rest[:count], tuple(map(int, rest[count:])))
    digits = v1.word_of(draws.parts) // 4
    bits = [v1.store(part, draws.parts) for value in values for part in value]
    return f"{head} : {' '.join(f'{b:0{digits}x}' for b in bits)}"


def heads():
    for dtype in PARTS:
        for seed, stream in ((0, 0), (2**64 - 1, 2**63), (7, v1.stream_id("layer.0.weight"))):
            at = f"{dtype} {seed} {stream}"
            yield f"normal {at} {(0.0).hex()} {(0.5).hex()} 3 5"
            yield f"normal {at} {(-1.25).hex()} {(0.1).hex()} 7"
            yield f"normal {at} {(0.3).hex()} {(2.0**-100).hex()}"
            yield f"variance_scaling {at} truncated_normal {(2.0).hex()} fan_in io 12 7"
            yield f"variance_scaling {at} truncated_normal {(1.0).hex()} fan_avg oi 3 5 5"
            yield f"variance_scaling {at} uniform {(2.0).hex()} fan_in io 3 2 4"
            yield f"variance_scaling {at} uniform {(0.1).hex()} fan_out oi 5 6"
            yield f"variance_scaling {at} normal {(3.0).hex()} fan_geo_avg io 4 5"
            yield f"variance_scaling {at} truncated_normal {(0.0).hex()} fan_in io 2 3"
            for shape in ("4 4", "6 3", "2 5", "2 3 4", "1 1", "1 3", "5 1", "9 2"):
                yield f"orthogonal {at} {(1.0).hex()} {shape}"
            yield f"orthogonal {at} {(-1.41).hex()} 5 4"
            yield f"orthogonal {at} {(0.0).hex()} 2 2"
            yield f"delta_orthogonal {at} {(1.41).hex()} 3 2 2 3"
            yield f"delta_orthogonal {at} {(1.0).hex()} 4 3 3"
        yield f"constant {dtype} 0 0 {(0.1).hex()} {(-2.0 / 3).hex()} 2 2"
        yield f"constant {dtype} 0 0 {(-0.0).hex()} {(1e-42).hex()} 2"
        yield f"eye {dtype} 0 0 {(0.1).hex()} 2 3 2"


if __name__ == "__main__":
    lines = [complete(head) + "\n" for head in heads()]
    (HERE / "complex.txt").write_text(FIRST_LINE + "".join(lines), "utf-8", newline="\n")
