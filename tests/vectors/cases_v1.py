"""The lines of the tables *.txt, and their form: "head : bits …", where the head says what is
computed.

The answers come from scalar_v1.py and scalar_truncated_v1.py; only words and parameters are chosen
here.  `python tests/vectors/scalar_v1.py` writes the tables again; `complete(head)` computes one
line.  The numbers of a head are decimal integers (seed, stream, first index, count) or C
hexadecimal doubles; bits and words are hexadecimal without 0x, with as many digits as the type has.
"""

import math
import pathlib
from fractions import Fraction

import scalar_truncated_v1 as truncated
import scalar_v1 as scalar

HERE = pathlib.Path(__file__).parent
NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
FLOATS = ("float64", "float32", *NARROW)
INF = math.inf
FIRST_LINE = (
    "# Written by `python tests/vectors/scalar_v1.py` from fastinit/stream-v1.md; do not edit. "
)


def hexed(code: int, width: int) -> str:
    return f"{code:0{width // 4}x}"


def numbers(texts):
    return [float.fromhex(t) for t in texts]


# One line
# --------------------------------------------------------------------------------------------------


def complete(head: str) -> str:
    kind, *rest = head.split()
    return f"{head} : {' '.join(ANSWERS[kind](*rest))}"


def drawn(one_value):
    def answer(dtype, seed, stream, first, count, *parameters):
        parameters, width = numbers(parameters), scalar.FORMATS[dtype][3]
        seed, stream, first = int(seed), int(stream), int(first)
        return [
            hexed(one_value(seed, stream, first + n, dtype, *parameters), width)
            for n in range(int(count))
        ]

    return answer


def radius(dtype, *words):
    function = scalar.radius32 if dtype == "float32" else scalar.radius64
    return [hexed(scalar.store(function(int(w, 16)), dtype), len(w) * 4) for w in words]


def angle(dtype, *words):
    function = scalar.angle32 if dtype == "float32" else scalar.angle64
    return [
        ",".join(hexed(scalar.store(v, dtype), len(w) * 4) for v in function(int(w, 16)))
        for w in words
    ]


def truncated_word(dtype, mean, std, low, high, *words):
    mean, std, low, high = numbers((mean, std, low, high))
    return [
        hexed(truncated.truncated_of_word(int(w, 16), dtype, mean, std, low, high), len(w) * 4)
        for w in words
    ]


def stored(dtype, *words):
    return [
        hexed(scalar.store(scalar.view32(int(w, 16)), dtype), scalar.FORMATS[dtype][3])
        for w in words
    ]


def constant(dtype, *values):
    through = scalar.round64 if dtype == "float64" else scalar.round32
    return [
        hexed(scalar.store(through(v), dtype), scalar.FORMATS[dtype][3]) for v in numbers(values)
    ]


def stream(name):
    """The name as hexadecimal UTF-8, "-" for the empty one."""
    return [hexed(scalar.stream_id(bytes.fromhex(name.replace("-", "")).decode("utf-8")), 64)]


def scaled(rule, layout, shape, argument):
    shape = [int(n) for n in shape.split("x")]
    if layout == "oi":
        fans = math.prod(shape[1:]), shape[0] * math.prod(shape[2:])
    else:
        fans = shape[-2] * math.prod(shape[:-2]), shape[-1] * math.prod(shape[:-2])
    return [
        hexed(scalar.bits64(v), 64) for v in scalar.scaling(rule, *fans, float.fromhex(argument))
    ]


def words(seed, stream, first, count, low, modulus):
    seed, stream, first = int(seed), int(stream), int(first)
    return [
        hexed(scalar.byte_of_words(seed, stream, first + n, int(low), int(modulus)), 8)
        for n in range(int(count))
    ]


ANSWERS = {
    "words": words,
    "uniform": drawn(scalar.uniform),
    "uniform_symmetric": drawn(lambda *rest: scalar.uniform(*rest, symmetric=True)),
    "normal": drawn(scalar.normal),
    "truncated_normal": drawn(truncated.truncated_normal),
    "radius": radius,
    "angle": angle,
    "truncated_word": truncated_word,
    "store": stored,
    "constant": constant,
    "stream": stream,
    "scaling": scaled,
}

# Choices
# --------------------------------------------------------------------------------------------------


def chosen(count: int, word: int, salt: int) -> list[int]:
    """`count` pseudo-random words, the same ones on every machine."""
    words = [
        w
        for n in range((count * word + 127) // 128)
        for w in scalar.philox((n, 0, 0, salt), (2024, 7))
    ]
    if word == 64:
        words = [low | high << 32 for low, high in zip(words[::2], words[1::2], strict=True)]
    return words[:count]


def around(word: int, *middles: int, reach: int = 1) -> list[int]:
    return sorted({(m + n) % 2**word for m in middles for n in range(-reach, reach + 1)})


def edge_words(word: int) -> list[int]:
    eighths = [n << (word - 3) for n in range(8)]
    powers = [
        w
        for k in range(word)
        for w in (1 << k, (1 << k) - 1, 2**word - (1 << k), 2**word - 1 - (1 << k))
    ]
    return sorted({*around(word, *eighths, reach=2), *powers})


def places(dtype: str):
    """(seed, stream, first): their ends, starts inside a tile, a carry into the second counter
    word, the last value.
    """
    tile = 32 if dtype == "float64" else 64
    name = scalar.stream_id("layers.0.attention.query.weight")
    last = tile << 52
    fixed = [(0, 0, 0), (42, name, 0), (2**64 - 1, 2**64 - 1, 7), (1, 1 << 32, tile - 9)]
    fixed += [
        (1 << 32, 1, (tile << 28) - 11),
        (2**63, 2**63, last - tile // 2),
        (7, name, 1_000_003),
    ]
    fixed += [(1234567890123456789, scalar.stream_id("é\0"), tile * 1000 - 1)]
    more = chosen(45 if dtype == "float64" else 27, 64, 1)
    return fixed + [
        (s, t, f % 2**40) for s, t, f in zip(more[::3], more[1::3], more[2::3], strict=True)
    ]


def draw_heads(kind, dtype, all_parameters, all_places):
    count = 16 if dtype == "float64" else 32
    for parameters in all_parameters:
        text = " ".join(float(p).hex() for p in parameters)
        for seed, stream_, first in all_places:
            yield f"{kind} {dtype} {seed} {stream_} {first} {count} {text}"


def uniform_heads():
    shared = [(0.0, 1.0), (-1.0, 1.0), (-0.1, 0.3), (2.0, 2.25), (-448.0, -0.001), (1 / 3, 1 / 3)]
    for dtype in FLOATS:
        extra = {
            "float64": [(1e300, 1.5e300), (0.0, 1e-300)],
            "float32": [(-3e37, 3e38), (0.0, 1e-35)],
            "float16": [(-1e-6, 2e-6)],
        }
        yield from draw_heads("uniform", dtype, shared + extra.get(dtype, []), places(dtype))
        bounds = [(-b, b) for b in (0.05, 1.0, math.sqrt(6.0 / 1024))]
        yield from draw_heads("uniform_symmetric", dtype, bounds, places(dtype))


def normal_heads():
    shared = [(0.0, 1.0), (0.0, 0.02), (0.5, 2.0), (-3.0, 0.001), (0.1, 1 / 3), (1.5, 0.0)]
    for dtype in FLOATS:
        extra = {
            "float64": [(0.0, 1e-300), (0.0, math.ldexp(1.0, -1022)), (1e300, 1e298)],
            "float16": [(0.0, 1e-6), (0.0, 9000.0)],
        }
        extra |= {
            "float32": [(0.0, math.ldexp(1.0, -126)), (1e38, 1e37)],
            "bfloat16": [(0.0, 1e-37)],
            "float8_e4m3fn": [(0.0, 60.0)],
        }
        yield from draw_heads("normal", dtype, shared + extra.get(dtype, []), places(dtype))


def normal_word_heads():
    for dtype, word in (("float32", 32), ("float64", 64)):
        words = edge_words(word) + chosen(500, word, 2)
        for kind in ("radius", "angle"):
            for n in range(0, len(words), 8):
                yield f"{kind} {dtype} " + " ".join(hexed(w, word) for w in words[n : n + 8])


def store_heads():
    for dtype in NARROW:
        _, m, largest, _ = scalar.FORMATS[dtype]
        codes = (
            [*range(1 << (m + 1)), *range(1 << m, largest, max(1, largest // 61)), largest - 1]
            if m < 8
            else []
        )
        edges = (0, 1, 2, 3, 511, 512, 1022, 1023, 1024, 1025, 2047, 2048)
        codes = codes or [*edges, *range(0, largest, largest // 97), largest - 1]
        words = []
        for code in sorted(set(codes)):
            low, high = (
                scalar.decode(code, dtype),
                scalar.decode(code + 1, dtype) if code < largest else None,
            )
            ends = [low] if high is None else [low, (low + high) / 2]
            for value in ends:  # the value, and the tie above it with both neighbours
                bits = scalar.encode(value, "float32")
                words += [bits] if value == low else [bits - 1, bits, bits + 1]
        words += [w for w in (1, 2, 0x00400000, 0x007FFFFF, 0x00800000) if w not in words]
        limit = scalar.encode(scalar.decode(largest, dtype), "float32")
        words += [w % limit for w in chosen(64, 32, 3)]
        words = [w for pair in words for w in (pair, pair | 1 << 31)]
        for n in range(0, len(words), 16):
            yield f"store {dtype} " + " ".join(hexed(w, 32) for w in words[n : n + 16])
    values = (0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 2.5, -448.0, 1e-3, 3.0e-8, -1e-10, 1.0e-45, 1e-300)
    # A tie of float16 and of bfloat16 that only the double breaks: through binary32 it is a tie
    # again.
    values += (
        1 + 2.0**-11 + 2.0**-30,
        1 + 2.0**-8 + 2.0**-40,
        1 + 2.0**-4 + 2.0**-50,
        1 + 3 * 2.0**-3 - 2.0**-40,
    )
    for dtype in FLOATS:
        yield f"constant {dtype} " + " ".join(v.hex() for v in values)


def stream_heads():
    names = [
        "",
        "\0",
        "a",
        "weight",
        "layers.0.weight",
        "model.layers.31.mlp.down_proj.weight",
        " a ",
        "0",
        "None",
    ]
    names += ["é", "e\u0301", "重み", "😀", "x" * 300]
    names += [f"blocks.{n}.bias" for n in range(20)]
    yield from (f"stream {n.encode('utf-8').hex() or '-'}" for n in names)


def scaling_heads():
    shapes = (
        (64, 32),
        (1, 1),
        (512, 384, 3, 3),
        (7, 5, 3),
        (3, 3, 16, 48),
        (50257, 768),
        (2, 1000003),
    )
    shapes += ((11, 13, 17, 19, 23),)
    arguments = {
        "he": (0.0, 0.01, math.sqrt(5.0), -0.2),
        "xavier": (1.0, 5 / 3, 0.1),
        "lecun": (0.0,),
        "fan_in": (0.0,),
    }
    for rule, choices in arguments.items():
        for layout in ("oi", "io"):
            for shape in shapes:
                for argument in choices:
                    yield f"scaling {rule} {layout} {'x'.join(map(str, shape))} {argument.hex()}"


# low high of sigmas, then mean std low high
NAMED = """-2 2, -3 3, 0 inf, 1 inf, -inf -2.5, -1 3, 2.5 inf, 8 10, 9 inf, -10 -8, -100 100,
    100 101, -1000 1000, 1 1.001, -inf inf, -inf 3, -0.1 5, -6 1e-6, -1e-20 1, -1 1e-20, 0 1,
    0 1e-3, -1 0, -inf 0, 30 31, -40 -38, 300 inf, 70000 inf, 1e10 2e10, 1e30 inf, -inf -1e30,
    65535.5 65536.5, 4 inf, 3.999 inf, -5 -4, -inf -3.999, -1e-10 1e-10, -1e-4 1e-4, -1 1, -0.5 0.5,
    -5 -1, -9 9, -13.5 0.5, 0.5 14, -37 38"""
OTHERS = """0 0.02 -0.04 0.04, -0.3 0.7 -1 5, 10 3 -inf 4, 0 0.02 0.001 inf, 0 0.879 -1.758 1.758,
    100 0.5 99 101, 0.1 0.3 -0.5 0.7, 0 1e-6 -2e-6 2e-6, 5 2 -3 1"""
CENTRAL_END = 2.0 + 2.0**-20
SETTINGS = [(0.0, 1.0, *map(float, pair.split())) for pair in NAMED.split(",")]
SETTINGS += [
    (0.0, 1.0, -CENTRAL_END, CENTRAL_END),
    (0.0, 1.0, -CENTRAL_END, CENTRAL_END + 2.0**-38),
]
SETTINGS += [(0.0, 1.0, -1.0, 1e-300), (0.0, 1.0, -1e-300, 1.0), (0.0, 1.0, -1.0, 2.0**-200)]
SETTINGS += [
    (0.0, 1.0, -1.0, 2.0**-200 - 2.0**-253),
    (0.0, 1.0, -(2.0**-200), 1.0),
    (0.0, 1.0, -1e-80, 3.0),
]
SETTINGS += [(0.0, 1.0, -2.0, 2.0 + 2.0**-39), (0.0, 1.0, -2.0, 2.0 + 2.0**-36)]
SETTINGS += [
    (0.0, 1.0, 12.0, 12.0 + 2.0**-20),
    (0.0, 1.0, 2.0, 2.0 + 2.0**-18),
    (1.0, 1 / 3, 2.0, 3.0),
]
SETTINGS += [tuple(map(float, four.split())) for four in OTHERS.split(",")]


def random_settings(salt: int):
    """Bounds of every form and width, in doubles that no table was made for."""
    for w in chosen(100, 64, salt):
        fine, kind, size = (w >> 11) * 2.0**-53, w & 7, (w >> 3) & 15
        width = math.ldexp(0.5 + fine, 3 - size)
        if kind < 3:
            mean, std, low, high = 0.0, 1.0, -fine * width, width * (1.25 - fine)
        elif kind < 5:
            mean, std, low = 0.0, 1.0, math.ldexp(0.5 + fine, (w >> 7 & 7) - 2)
            high = low + width if kind == 3 else INF
        elif kind == 5:
            mean, std, high = 0.25, 0.7, -math.ldexp(0.5 + fine, (w >> 7 & 7) - 3)
            low = high - width
        else:
            mean, std, low, high = (
                fine,
                1.5,
                fine - 1.5 * width,
                fine + 1.5 * width * (1.0 if kind == 6 else 1.75),
            )
        yield mean, std, low, high


def allowed(dtype, mean, std, low, high) -> bool:
    try:
        for b in (low, high):
            if math.isfinite(b):
                scalar.encode(Fraction(b), dtype)
        lowest, highest = truncated.truncated_ends(dtype, low, high)
    except (OverflowError, ValueError):
        return False
    return lowest <= highest


def truncated_heads():
    for n, setting in enumerate(SETTINGS):
        for dtype in FLOATS:
            if allowed(dtype, *setting):
                every = places(dtype)
                yield from draw_heads(
                    "truncated_normal",
                    dtype,
                    [setting],
                    [every[(3 * n + k) % len(every)] for k in range(2 if n % 2 else 3)],
                )
    for salt, dtype in ((4, "float32"), (5, "float64")):
        for n, setting in enumerate(random_settings(salt)):
            if allowed(dtype, *setting):
                yield from draw_heads("truncated_normal", dtype, [setting], [places(dtype)[n % 8]])


def change(word: int, holds) -> int:
    """The first word for which the monotone condition no longer has the value it has at 0."""
    start, low, high = holds(0), 0, 2**word - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) == start else (low, middle)
    return low


def seams(word, mean, std, low, high) -> list[int]:
    form, flip, k = truncated.numbers(*truncated.sigmas(mean, std, low, high), word)
    r, ones = scalar.rounding_of(word), 2**word - 1
    if form == "central":
        found = []
    elif form == "far":
        found = [change(word, lambda w: r(truncated.place(r, w, 0.5, word) * k["step"]) < 0.25)]
    else:
        first, step, tail = k["first"], k["step"], k["tail"]

        def is_tail(w, side):
            e = truncated.place(r, ones - w if side else w, 0.5, word)
            return r(r(e * step[side]) + tail[side]) > 0.25

        found = [first]
        found += [
            change(word, lambda w: w < first and is_tail(w, 0)),
            change(word, lambda w: w < first or is_tail(w, 1)),
        ]
    return [ones - w if flip else w for w in found]


def truncated_word_heads():
    sets = [(dtype, setting, 32) for setting in SETTINGS for dtype in ("float32", "float64")]
    sets += [
        (dtype, setting, 8)
        for salt, dtype in ((4, "float32"), (5, "float64"))
        for setting in random_settings(salt)
    ]
    for n, (dtype, setting, count) in enumerate(sets):
        if not allowed(dtype, *setting):
            continue
        word = scalar.word_of(dtype)
        middle = 1 << (word - 1)
        words = {0, 1, 2, middle - 1, middle, middle + 1, 2**word - 3, 2**word - 2, 2**word - 1}
        words |= {*around(word, *seams(word, *setting), reach=2), *chosen(count, word, 100 + n)}
        words |= {1 << (word - 4), 2**word - (1 << (word - 4))} | (
            {1 << k for k in range(2, word, 5)} if count > 8 else set()
        )
        words, text = sorted(words), " ".join(float(p).hex() for p in setting)
        for start in range(0, len(words), 16):
            yield f"truncated_word {dtype} {text} " + " ".join(
                hexed(w, word) for w in words[start : start + 16]
            )


def words_heads():
    """Whole tiles from several bytes of a word on, across the end of one, and far away."""
    streams = (0, 822900612925564463, (1 << 64) - 1)
    seeds = (0, 1234567890123456789, (1 << 64) - 1)
    for seed, stream in zip(seeds, streams, strict=True):
        for first in (0, 1, 254, 255, 4093, 1 << 33, (1 << 60) - 32):
            yield f"words {seed} {stream} {first} 32 0 256"
    for low, modulus in ((118, 4), (0, 1), (128, 128), (255, 1), (7, 16)):
        yield f"words 42 7 3 32 {low} {modulus}"


TABLES = {
    "words.txt": (words_heads, "words seed stream first-byte count low modulus : bytes"),
    "uniform.txt": (uniform_heads, "draw dtype seed stream first count low high"),
    "normal.txt": (normal_heads, "draw dtype seed stream first count mean std"),
    "normal_words.txt": (
        normal_word_heads,
        "radius or angle, dtype, words : radii, or cosine,sine of each",
    ),
    "truncated_normal.txt": (
        truncated_heads,
        "draw dtype seed stream first count mean std low high",
    ),
    "truncated_normal_words.txt": (truncated_word_heads, "dtype mean std low high words"),
    "stores.txt": (store_heads, "store: dtype and binary32 words; constant: dtype and doubles"),
    "streams.txt": (stream_heads, "name in hexadecimal UTF-8 : stream id"),
    "scaling.txt": (
        scaling_heads,
        "rule layout shape slope-or-gain : std, bound, std to truncate (fan_in: bound), binary64",
    ),
}


def main() -> None:
    for file, (heads, legend) in TABLES.items():
        lines = [FIRST_LINE + legend, *map(complete, heads())]
        (HERE / file).write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")
        print(f"{file}: {len(lines) - 1} lines")
