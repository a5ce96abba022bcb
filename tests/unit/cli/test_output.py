"""The table that commands print."""

from fastinit.cli.output import table, wrapped


def test_columns_are_aligned_and_end_without_spaces():
    rows = [("name", "bytes", "dtype"), ("a", "1200", "float16"), ("longer", "8", "x")]
    assert table(rows, right=[1]).splitlines() == [
        "name    bytes  dtype",
        "a        1200  float16",
        "longer      8  x",
    ]


def test_a_wrapped_line_fits_80_columns_and_keeps_its_words():
    line = "normal std=0.02: 26 tensors: " + ", ".join(f"h.{i}.attn.weight" for i in range(30))
    lines = wrapped(line)
    assert max(map(len, lines.splitlines())) <= 80
    assert lines.split() == line.split()
