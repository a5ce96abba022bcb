"""Section 9 of fastinit/stream-v1.md, sparse, implemented a second time from the page: units,
Floyd's choice, ranks and values.

It uses scalar_v1.py (words, normal, formats).  `python tests/vectors/scalar_sparse_v1.py` writes
sparse.txt again, one line for each case: rows columns (sparsity | count) per std dtype seed stream
: flat-index=bits of every non-zero, in C order.
"""

import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import scalar_v1 as v1  # noqa: E402

PLANE_OF_POSITIONS = 1


def word64(seed: int, stream: int, plane: int, i: int) -> int:
    """The 64-bit word of a plane at value index i, by the float64 rule."""
    tile, p = i // 32, i % 32
    half, lane = p // 16, p % 16
    words = v1.block_words(seed, stream, (plane << 56) + 16 * tile + lane)
    return words[2 * half] | words[2 * half + 1] << 32


def kept(rows: int, sparsity: float | None, count: int | None) -> int:
    return count if count is not None else rows - math.ceil(sparsity * rows)


def choice(rows: int, keep: int, unit: int, seed: int, stream: int) -> list[int]:
    """The places of one unit's non-zeros, ascending."""
    k = min(keep, rows - keep)
    chosen: set[int] = set()
    for s in range(k):
        m = rows - k + s
        y = word64(seed, stream, PLANE_OF_POSITIONS, unit * k + s) * (m + 1) >> 64
        chosen.add(m if y in chosen else y)
    return sorted(chosen if keep <= rows - keep else set(range(rows)) - chosen)


def sparse(rows, columns, sparsity, count, per, std, dtype, seed, stream) -> dict[int, int]:
    """Flat C-order index to bits, of the non-zeros."""
    places, units = (rows, columns) if per == "column" else (columns, rows)
    keep = kept(places, sparsity, count)
    found = {}
    for unit in range(units):
        for rank, place in enumerate(choice(places, keep, unit, seed, stream)):
            flat = place * columns + unit if per == "column" else unit * columns + place
            found[flat] = v1.normal(seed, stream, unit * keep + rank, dtype, 0.0, std)
    return dict(sorted(found.items()))


CASES = [
    (rows, columns, sparsity, count, per, std, dtype, seed, stream)
    for (rows, columns, sparsity, count, per, std), (dtype, seed, stream) in zip(
        [
            (40, 7, 0.9, None, "column", 0.01),
            (40, 7, 0.1, None, "column", 0.01),
            (40, 7, 0.5, None, "row", 1.0),
            (1, 9, 0.5, None, "column", 0.02),
            (33, 3, 0.3, None, "row", 0.25),
            (100, 4, None, 15, "column", 0.5),
            (100, 4, None, 3, "row", 0.5),
            (17, 17, 1.0, None, "column", 1.0),
            (17, 17, 0.0, None, "column", 1.0),
            (64, 12, 0.05, None, "column", 0.01),
            (257, 2, 0.98, None, "column", 3.0),
            (5, 300, None, 299, "row", 0.1),
        ],
        [
            ("float32", 9, 0),
            ("float64", 12345678901234567890, 2**64 - 1),
            ("bfloat16", 0, 7),
            ("float16", 2**32, 2**32),
            ("float8_e5m2", 1, 1),
            ("float8_e4m3fn", 5, 6),
        ]
        * 2,
        strict=True,
    )
]


def line(case: tuple) -> str:
    rows, columns, sparsity, count, per, std, dtype, seed, stream = case
    amount = f"n={count}" if sparsity is None else f"s={sparsity.hex()}"
    values = " ".join(f"{flat}={bits:x}" for flat, bits in sparse(*case).items())
    return f"{rows} {columns} {amount} {per} {std.hex()} {dtype} {seed} {stream} : {values}"


def main() -> None:
    text = (
        "# Sparse, by scalar_sparse_v1.py: rows columns amount per std dtype seed stream : flat "
        "index=bits of the non-zeros\n"
    )
    path = pathlib.Path(__file__).resolve().parent / "sparse.txt"
    path.write_text(text + "".join(line(case) + "\n" for case in CASES))


if __name__ == "__main__":
    main()
