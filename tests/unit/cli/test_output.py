"""The table that commands print."""

from fastinit.cli.output import table


def test_columns_are_aligned_and_end_without_spaces():
    rows = [("name", "bytes", "dtype"), ("a", "1200", "float16"), ("longer", "8", "x")]
    assert table(rows, right=[1]).splitlines() == [
        "name    bytes  dtype",
        "a        1200  float16",
        "longer      8  x",
    ]
