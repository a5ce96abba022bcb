"""fastinit explain: the words of the command line are the arguments of fi.explain."""

import fastinit as fi
from fastinit.cli import main


def test_explain_says_what_python_says(capsys):
    words = [
        "explain",
        "he_normal",
        "768",
        "3072",
        "mode=fan_out",
        "negative_slope=1/4",
        "layout=io",
    ]
    assert main([*words, "--name", "up", "--seed", "1", "--dtype", "bfloat16"]) == 0
    line = fi.explain(
        "he_normal",
        (768, 3072),
        mode="fan_out",
        negative_slope=0.25,
        layout="io",
        name="up",
        seed=1,
        dtype="bfloat16",
    )
    assert capsys.readouterr().out == line + "\n"
    assert main(["explain", "xavier_uniform", "4", "5", "6", "in_axis=0,2", "out_axis=1"]) == 0
    assert (
        capsys.readouterr().out
        == fi.explain("xavier_uniform", (4, 5, 6), in_axis=(0, 2), out_axis=1) + "\n"
    )
