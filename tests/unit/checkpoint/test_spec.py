"""Specs: what they resolve to; and every mistake is reported with file, line and the nearest known
name.
"""

import json
import math

import numpy as np
import pytest
from children import growth

from fastinit import checkpoint
from fastinit.checkpoint import SpecError
from fastinit.checkpoint.expressions import evaluate

# -------------------------------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3 * width", 2304),
        ("0.02 / sqrt(2 * layers)", 0.02 / math.sqrt(24)),
        ("  (1 + 2) * -3 ", -9),
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("min(layers, 7) + max(1, 2, 3)", 10),
        ("1e-3", 1e-3),
        ("-inf", -math.inf),
        ("width * width * width * width * width * width * width", 768**7),  # exact
    ],
)
def test_an_expression_has_the_value_of_its_arithmetic(text, value):
    result = evaluate(text, {"width": 768, "layers": 12})
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "a b",
        "1, 2",
        "[1]",
        "2 ** 3",
        "1 < 2",
        "1 if 1 else 2",
        "'text'",
        "True",
        "1j",
        "width.real",
        "sqrt()",
        "sqrt(1, 2)",
        "min(1)",
        "sqrt(x=1)",
        "__import__('os')",
        "(lambda: 1)()",
        "~1",
        "not 1",
        "7.0 // 2",
        "sqrt(0 - 1)",
        "sqrt(inf - inf)",
        "1 / 0",
        "1 // 0",
        "\0",
        "(" * 400,
        "-" * 999 + "1",
        "exp(1)",
        "1" + " + 1" * 400,
        "width:=3",
        "1\n2",
    ],
)
def test_text_that_is_not_arithmetic_is_refused(text):
    with pytest.raises(ValueError, match=r"\w"):
        evaluate(text, {"width": 768})


def test_an_integer_cannot_grow_without_end():
    with pytest.raises(ValueError, match="1024 bits"):
        evaluate("width * width * width", {"width": 1 << 500})
    with pytest.raises(ValueError, match="too large"):
        evaluate("width * 1.5", {"width": 1 << 1024})


def test_an_unknown_name_is_a_lookup_error():
    with pytest.raises(LookupError, match="wdith"):
        evaluate("3 * wdith", {"width": 768})


# --------------------------------------------------------------------------------------- resolution

SPEC = """
dtype = "bfloat16"

[constants]
layers = 2
width = 8
double = "2 * width"

[repeat]
layer = "layers"
expert = [1, "layers + 1"]

[metadata]
format = "pt"
license = "none"

[tensors]
"embedding" = ["width", 3]
"h.{layer}.w" = ["width", "double"]
"h.{layer}.e.{expert}" = ["width", 2]
"h.{{layer}}" = []
"norm" = { shape = ["width"], dtype = "float32" }
"own" = { shape = [4, 4], initializer = "normal", std = "layers / 10", mean = 1 }

[[rules]]
match = ["norm", "h.{layer}"]
initializer = "ones"

[[rules]]
match = "h.*.w"
initializer = "normal"
std = "0.02 / sqrt(2 * (layer + 1))"

[[rules]]
match = "h.*.e.*"
initializer = "kaiming_normal"
mode = "fan_out"
dtype = "float16"

[[rules]]
match = "*"
initializer = "uniform"
low = -1
high = 1.5
"""


def entries(spec, **options):
    return {entry.name: entry for entry in checkpoint.load(spec, **options).entries}


def write(folder, text, name="spec.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_spec_resolves_to_its_tensors(tmp_path):
    found = entries(write(tmp_path, SPEC))
    assert list(found) == [
        "embedding",
        "h.0.w",
        "h.1.w",
        "h.0.e.1",
        "h.0.e.2",
        "h.1.e.1",
        "h.1.e.2",
        "h.{layer}",
        "norm",
        "own",
    ]
    assert found["h.1.w"].shape == (8, 16)
    assert found["h.{layer}"].shape == ()
    assert {
        name: entry.dtype.name for name, entry in found.items() if entry.dtype.name != "bfloat16"
    } == {
        "norm": "float32",
        "h.0.e.1": "float16",
        "h.0.e.2": "float16",
        "h.1.e.1": "float16",
        "h.1.e.2": "float16",
    }
    assert found["h.1.w"].arguments == {"std": 0.02 / math.sqrt(4)}
    assert found["h.0.w"].arguments == {"std": 0.02 / math.sqrt(2)}
    assert found["own"].arguments == {"std": 0.2, "mean": 1}
    assert found["h.0.e.1"].initializer == "he_normal"  # an alias is resolved
    assert found["h.0.e.1"].arguments == {"mode": "fan_out"}
    assert found["embedding"].initializer == "uniform"
    assert found["norm"].initializer == found["h.{layer}"].initializer == "ones"
    assert checkpoint.load(tmp_path / "spec.toml").metadata == {"format": "pt", "license": "none"}


def test_the_callers_dtype_replaces_only_the_default(tmp_path):
    found = entries(write(tmp_path, SPEC), dtype="float64")
    assert found["embedding"].dtype.name == "float64"
    assert found["norm"].dtype.name == "float32"
    assert found["h.0.e.1"].dtype.name == "float16"


def test_toml_json_and_a_mapping_say_the_same(tmp_path):
    import tomllib

    content = tomllib.loads(SPEC)
    canonical = checkpoint.load(write(tmp_path, SPEC)).canonical()
    assert (
        checkpoint.load(write(tmp_path, json.dumps(content), "spec.json")).canonical() == canonical
    )
    assert (
        checkpoint.load(
            write(tmp_path, "\ufeff" + json.dumps(content, indent=1), "b.JSON")
        ).canonical()
        == canonical
    )
    assert checkpoint.load(content).canonical() == canonical


def test_the_canonical_spec_is_a_spec_and_resolves_to_itself(tmp_path):
    spec = SPEC + (
        '[[rules]]\nmatch = "one sided"\ninitializer = "truncated_normal"\nhigh = "inf"\nlow = -1\n'
    )
    spec = spec.replace("[tensors]", '[tensors]\n"one sided" = [3]').replace(
        'match = "*"', 'match = "[!o]*"'
    )
    canonical = checkpoint.load(write(tmp_path, spec)).canonical()
    assert json.loads(canonical)["tensors"]["one sided"]["high"] == "inf"
    assert checkpoint.load(write(tmp_path, canonical, "canonical.json")).canonical() == canonical


def test_the_order_of_tensors_does_not_change_the_canonical_spec():
    rules = [{"match": "*", "initializer": "zeros"}]
    first = checkpoint.load({"tensors": {"a": [1], "b": [2]}, "rules": rules})
    assert (
        first.canonical()
        == checkpoint.load({"rules": rules, "tensors": {"b": [2], "a": [1]}}).canonical()
    )


def test_presets_are_specs_to_copy(tmp_path):
    assert {"gpt2", "gpt2-xl", "llama-3.2-1b"} <= set(checkpoint.presets())
    for name in checkpoint.presets():
        copy = write(tmp_path, checkpoint.preset(name), name + ".toml")
        assert checkpoint.load(copy).canonical() == checkpoint.load(name).canonical()


def test_patterns_are_those_of_fnmatch_and_case_sensitive():
    spec = {
        "tensors": {"a.W": [1], "a.w": [2], "ab": [3], "a[0]": [4]},
        "rules": [
            {"match": "a.w", "initializer": "ones"},
            {"match": "a?", "initializer": "zeros"},
            {"match": "a[[]*", "initializer": "constant", "value": 3},
            {"match": "*.*", "initializer": "constant", "value": 2},
        ],
    }
    found = entries(spec)
    assert [found[name].initializer for name in ("a.W", "a.w", "ab")] == [
        "constant",
        "ones",
        "zeros",
    ]
    assert found["a[0]"].arguments == {"value": 3}


# ----------------------------------------------------------------------------------------- mistakes

GOOD = """dtype = "float32"
[constants]
layers = 2
width = 8
[repeat]
layer = "layers"
[metadata]
format = "pt"
[tensors]
"h.{layer}.w" = ["width", "3 * width"]
"h.{layer}.b" = ["width"]
"head" = { shape = [8, 8], dtype = "bfloat16" }
[[rules]]
match = "*.b"
initializer = "zeros"
[[rules]]
match = "*"
initializer = "normal"
std = "0.02 / sqrt(2 * layers)"
"""

# (what of GOOD is replaced, by what, the line of the mistake, a part of the message)
MISTAKES = [
    ('dtype = "float32"', 'dtypes = "float32"', 1, "unknown key 'dtypes'; did you mean 'dtype'?"),
    ('dtype = "float32"', 'dtype = "flaot32"', 1, "did you mean 'float32'?"),
    ('dtype = "float32"', "dtype = 32", 1, "must be a name in quotes"),
    ('dtype = "float32"', 'dtype = "complex64"', 1, "complex"),
    ("[constants]", "[constant]", 2, "unknown key 'constant'; did you mean 'constants'?"),
    ("layers = 2\n", "layers = 2\nlayers = 3\n", 4, "not TOML"),
    ("layers = 2\n", "layers == 2\n", 3, "not TOML"),
    ("layers = 2\n", "sqrt = 2\n", 3, "'sqrt' must be a plain name"),
    (
        "width = 8\n",
        'width = "4 * layer"\n',
        4,
        "unknown name 'layer' in '4 * layer'; did you mean 'layers'?",
    ),
    ("width = 8\n", "width = true\n", 4, "neither a number nor an expression"),
    ("width = 8\n", "width = nan\n", 10, "nan"),
    ('layer = "layers"', 'layer = "layers / 1"', 6, "not a whole number"),
    ('layer = "layers"', "layer = -1", 6, "at least 0"),
    ('layer = "layers"', "layer = [1]", 6, "[first, stop]"),
    ('layer = "layers"', "layer = 1_000_000_000", 10, "more than 1000000 tensors"),
    ('layer = "layers"', 'layer = "layers"\nexpert = 2', 7, "no tensor's name holds {expert}"),
    ('layer = "layers"', "width = 2", 6, "both a constant and an index"),
    ('format = "pt"', "format = 1", 8, "must be text"),
    ('format = "pt"', '"fastinit.seed" = "1"', 8, "fastinit itself writes"),
    (
        '"h.{layer}.b" =',
        '"h.{leyer}.b" =',
        11,
        "unknown index {leyer} in 'h.{leyer}.b'; did you mean 'layer'?",
    ),
    ('"h.{layer}.b" =', '"h.{layer.b" =', 11, "a single '{'"),
    ('"h.{layer}.b" =', '"h.0.w" =', 11, "two tensors are named 'h.0.w'"),
    ('"h.{layer}.b" =', "h.b =", 11, "must be in quotes"),
    ('"h.{layer}.b" =', '"__metadata__" =', 11, "cannot be named"),
    ('"h.{layer}.b" =', '"" =', 11, "cannot be named"),
    ('["width"]', "8", 11, "must be a list"),
    ('["width"]', "[8.0]", 11, "not a whole number"),
    ('["width"]', "[-8]", 11, "at least 0"),
    ('["width"]', '["width / 2"]', 11, "not a whole number (// divides whole numbers)"),
    ('["width"]', '["widht"]', 11, "unknown name 'widht' in 'widht'; did you mean 'width'?"),
    ('["width"]', "[true]", 11, "neither a number"),
    ('["width"]', f"[{1 << 40}, {1 << 40}]", 11, "2**58"),
    ("shape = [8, 8]", "shap = [8, 8]", 12, "has no shape"),
    (
        "[8, 8], dtype",
        "[8, 8], dtpye",
        12,
        "unknown key (without an initializer of its own) 'dtpye'; did you mean 'dtype'?",
    ),
    (
        "[8, 8], dtype",
        '[8, 8], initializer = "normal", sdt = 1, dtype',
        12,
        "argument of normal 'sdt'; did you mean 'std'?",
    ),
    ('dtype = "bfloat16"', 'dtype = "bfloat61"', 12, "did you mean 'bfloat16'?"),
    ('match = "*.b"\n', "", 13, "a rule needs match"),
    ('match = "*.b"\n', 'match = ["*.b", 1]\n', 13, "a rule needs match"),
    ('match = "*.b"\n', 'match = ["*.b", "*.bias"]\n', 14, "'*.bias' matches no tensor"),
    ('match = "*.b"\n', 'match = "*.c"\n', 14, "'*.c' matches no tensor; the nearest is 'h.0.w'"),
    ('match = "*"\n', 'match = "*.w"\n', 12, "no rule matches 'head'"),
    (
        'match = "*.b"\n',
        'match = "*"\n',
        16,
        "the rule for '*' is never used: rules above it, such as the one for '*'",
    ),
    ('initializer = "zeros"\n', "", 13, "has no initializer"),
    (
        'initializer = "zeros"',
        'intializer = "zeros"',
        13,
        "has no initializer; did you mean 'initializer'?",
    ),
    (
        'initializer = "zeros"',
        'initializer = "zeroes"',
        15,
        "unknown initializer 'zeroes'; did you mean 'zeros'?",
    ),
    ('initializer = "zeros"', "initializer = 0", 15, "unknown initializer 0"),
    (
        'initializer = "zeros"',
        'initializer = "zeros"\nvalue = 0',
        16,
        "unknown argument of zeros 'value'",
    ),
    (
        'initializer = "zeros"',
        'initializer = "zeros"\nseed = 0',
        16,
        "unknown argument of zeros 'seed'",
    ),
    ('initializer = "zeros"', 'initializer = "he_normal"', 15, "'h.0.b', he_normal: "),
    ("std = ", "sdt = ", 19, "unknown argument of normal 'sdt'; did you mean 'std'?"),
    ("std = ", "std = -1 # ", 18, "must be >= 0"),
    ("std = ", 'std = "sqrt(0 - layers)" # ', 19, "sqrt of -2"),
    (
        "std = ",
        'std = "0.02 / layer_s" # ',
        19,
        "unknown name 'layer_s' in '0.02 / layer_s'; did you mean 'layers'?",
    ),
    ("std = ", 'std = "lyers" # ', 18, "did you mean 'layers'?"),
    ("std = ", "std = 1979-05-27 # ", 19, "neither a number"),
]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"), MISTAKES, ids=[f"{new[:30]!r}" for _, new, _, _ in MISTAKES]
)
def test_a_mistake_in_toml_is_reported_with_its_line(tmp_path, old, new, line, message):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        checkpoint.load(path)
    assert message in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(path), line)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_the_good_spec_is_good(tmp_path):
    assert len(checkpoint.load(write(tmp_path, GOOD)).entries) == 5


JSON = """{
  "repeat": {"layer": 2},
  "tensors": {
    "h.{layer}.w": [8, 8],
    "h.{layer}.b": [8]
  },
  "rules": [
    {"match": "*.b", "initializer": "zeros"},
    {"match": "*", "initializer": "normal",
     "std": 0.02}
  ]
}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("[8, 8]", "[8, -8]", 4, "at least 0"),
        ('"h.{layer}.b"', '"h.{layer}.w"', 4, "appears twice"),
        ('"zeros"', '"zeroes"', 8, "did you mean 'zeros'?"),
        ('"match": "*"', '"match": "*.c"', 4, "no rule matches 'h.0.w'"),
        ('"std": 0.02', '"sdt": 0.02', 10, "did you mean 'std'?"),
        ('"std": 0.02', '"std": 0.02 0', 10, "not JSON"),
        ('"normal"', "{}", 9, "unknown initializer"),
        ('{"match": "*.b"', '7, {"match": "*.b"', 7, "must be a table"),
    ],
)
def test_a_mistake_in_json_is_reported_with_its_line(tmp_path, old, new, line, message):
    assert old in JSON
    path = write(tmp_path, JSON.replace(old, new, 1), "spec.json")
    with pytest.raises(SpecError) as caught:
        checkpoint.load(path)
    assert message in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.toml", b"a = 1\n\xff", 2),
        ("a.json", b'{\n"a": "\xff"}', 2),
        ("a.json", b"[]", 1),
        ("a.json", b"{", 1),
        ("a.json", b"[" * 100_000, None),
        ("a.toml", b"a = " + b"[" * 100_000, None),
        ("a.toml", b"a = [1", 1),
        ("a.json", b'{"tensors": {\n"a": [' + b"9" * 5000 + b"]}}", 2),
        ("a.toml", b"[tensors]\na = [" + b"9" * 5000 + b"]", 2),
        ("a.json", b"{}", None),
        ("a.toml", b"", None),
        ("a.toml", b"tensors = 3", 1),
        ("a.toml", b"[tensors]", 1),
        ("a.toml", b"rules = 3\n[tensors]\na=[1]", 1),
        (
            "a.json",
            b'{"tensors": {"\\ud800": [1]}, "rules": [{"match": "*", "initializer": "zeros"}]}',
            1,
        ),
    ],
)
def test_what_cannot_be_read_is_reported(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        checkpoint.load(path)
    assert caught.value.file == str(path)
    assert caught.value.line == line


def test_an_unknown_preset_is_reported_with_the_nearest(tmp_path):
    with pytest.raises(
        SpecError, match="unknown preset 'gtp2', and no such file; did you mean 'gpt2'"
    ):
        checkpoint.load("gtp2")
    with pytest.raises(SpecError, match="there are bert-base, .*gpt2, gpt2-xl, "):
        checkpoint.preset("../spec")
    (tmp_path / "model.yaml").touch()
    with pytest.raises(SpecError, match=r"must end in .toml or .json"):
        checkpoint.load(tmp_path / "model.yaml")
    with pytest.raises(FileNotFoundError):
        checkpoint.load(tmp_path / "absent.toml")


def test_a_mistake_in_a_mapping_has_no_line():
    with pytest.raises(SpecError, match="^<mapping>: no rule matches") as caught:
        checkpoint.load({"tensors": {"a": [1]}})
    assert (caught.value.file, caught.value.line) == ("<mapping>", None)


def test_a_wrong_dtype_argument_is_the_callers_mistake():
    with pytest.raises(ValueError, match="did you mean 'float32'") as caught:
        checkpoint.load("gpt2", dtype="flaot32")
    assert not isinstance(caught.value, SpecError)


# ------------------------------------------------------------------------- hostile and huge specs


def mistake(spec, path=None):
    with pytest.raises(SpecError) as caught:
        checkpoint.load(spec)
    message = str(caught.value)
    assert len(message.replace(str(path), "")) < 600
    return caught.value


def test_one_duplicate_among_many_keys_is_found_in_linear_time(tmp_path):
    # Quadratic, this took 30 s for 20,000 keys; for as many as here it would take hours.
    keys = [f'"layer.{number}.weight": [2]' for number in range(400_000)]
    keys.append('"layer.7.weight": [2]')
    path = write(tmp_path, '{"tensors": {\n' + ",\n".join(keys) + "}}", "spec.json")
    error = mistake(path, path)
    assert "'layer.7.weight' appears twice" in str(error)
    assert error.line == 9


@pytest.mark.parametrize("letter", ["{", "a", "[", "(", '\\"', "\\\\", ".", "*", "{a}"])
@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_name_of_a_megabyte_is_refused_in_linear_time(tmp_path, letter, kind):
    name = letter * (1_000_000 // len(letter))
    text = {
        "toml": f'[tensors]\n"{name}" = [-1]\n',
        "json": f'{{"tensors": {{"{name}": [-1]}}}}',
    }[kind]
    path = write(tmp_path, text, f"spec.{kind}")
    mistake(path, path)


def test_a_rule_for_each_of_many_tensors_does_not_take_quadratic_time():
    # Each rule against each tensor would be 1.6e9 matches.
    names = [f"layer.{number}.weight" for number in range(40_000)]
    spec = {
        "tensors": {name: [2] for name in names},
        "rules": [{"match": name, "initializer": "ones"} for name in names],
    }
    assert len(checkpoint.load(spec).entries) == len(names)


def test_many_constants_are_not_copied_for_each_of_many_tensors():
    """4,000 copies of 4,000 constants took 600 MiB, and 20,000 took the machine's memory."""
    grown, printed = growth(
        """
        names = {f"c{number}": number for number in range(4000)}
        tensors = {f"layer.{number}.w": ["c1"] for number in range(3900)} | {"h.{index}": ["index"]}
        spec = {"constants": names, "repeat": {"index": "c100"}, "tensors": tensors}
        spec["rules"] = [{"match": "*", "initializer": "zeros"}]
        print(sum(entry.shape[0] for entry in checkpoint.load(spec).entries))
        """,
        "from fastinit import checkpoint",
    )
    assert int(printed) == 3900 + sum(range(100)) and grown < 150


def test_an_unknown_name_among_many_gets_its_hint_quickly(tmp_path):
    text = "\n".join(f"c{number} = 1" for number in range(100_000))
    path = write(tmp_path, f'[constants]\n{text}\n[tensors]\n"a" = ["d5"]\n')
    assert "unknown name 'd5'" in str(mistake(path, path))


HUGE = 10**5000


@pytest.mark.parametrize(
    "spec",
    [
        {1: {}},
        {"tensors": {1: [2]}},
        {"tensors": {"a": {"shape": [1], 2: 3}}},
        {"constants": {3: 1}, "tensors": {"a": [1]}},
        {"repeat": {(): 1}, "tensors": {"a": [1]}},
        {"metadata": {None: "x"}, "tensors": {"a": [1]}},
        {"tensors": {"a": [1]}, "rules": [{"match": "*", "initializer": "zeros", 5: 6}]},
        {"config": {"a": [{1: 2}]}, "tensors": {"a": [1]}},
        {"tensors": {"\ud800": [1]}},
        {"metadata": {"a": "\udfff"}, "tensors": {"a": [1]}},
        {"metadata": {"\ud800": "a"}, "tensors": {"a": [1]}},
        {"tensors": {"a": [1]}, "rules": [{"match": "\ud800*", "initializer": "zeros"}]},
        {"tensors": {"a": {"shape": [1], "initializer": "\ud800"}}},
        {"tensors": {"a": [HUGE]}},
        {"tensors": {"a": [-HUGE]}},
        {"tensors": {"a": [1 << 63]}},
        {"constants": {"n": HUGE}, "tensors": {"a": ["n"]}},
        {"repeat": {"i": HUGE}, "tensors": {"a{i}": [1]}},
        {"dtype": HUGE, "tensors": {"a": [1]}},
        {"dtype": "x" * 10_000_000, "tensors": {"a": [1]}},
        {"tensors": {"a": "x" * 10_000_000}},
        {"tensors": {"a": ["x" * 10_000_000]}},
        {"tensors": {"a": {"shape": [1], "initializer": "x" * 10_000_000}}},
        {"x" * 10_000_000: 1},
    ],
)
def test_odd_keys_surrogates_and_huge_values_get_short_messages(spec):
    mistake(spec)


def test_endlessly_nested_specs_are_refused():
    spec = {}
    spec["config"] = spec
    assert "nested too deeply" in str(mistake({"tensors": {"a": [1]}, "config": spec}))


@pytest.mark.parametrize(
    ("constants", "tensors"),
    [({"ffn": 0}, {"w": [8, "ffn"]}), ({}, {"w": [0, 5]}), ({"a": 7}, {"w": ["a // 8", 3]})],
)
def test_a_weight_without_values_is_refused(constants, tensors):
    spec = {
        "constants": constants,
        "tensors": tensors,
        "rules": [{"match": "*", "initializer": "normal"}],
    }
    assert "'w' has shape" in str(mistake(spec))
    spec["rules"] = [{"match": "*", "initializer": "zeros"}]
    assert len(checkpoint.load(spec).entries) == 1


def test_a_rule_that_the_rules_above_it_leave_nothing_is_refused_and_names_one_of_them():
    spec = {
        "tensors": {"a.weight": [1], "a.bias": [1], "b.weight": [1], "b.bias": [1]},
        "rules": [
            {"match": "*.weight", "initializer": "zeros"},
            {"match": "*.bias", "initializer": "zeros"},
            {"match": "b.*", "initializer": "ones"},
        ],
    }
    assert "the rule for 'b.*' is never used: rules above it, such as the one for '*." in str(
        mistake(spec)
    )
    spec["rules"].insert(0, spec["rules"].pop())
    found = entries(spec)
    assert [found[name].initializer for name in sorted(found)] == ["zeros", "zeros", "ones", "ones"]


def test_the_config_is_kept_with_its_expressions_computed():
    spec = {
        "constants": {"layers": 2},
        "dtype": "bfloat16",
        "config": {"n": "{2 * layers}", "s": "text", "list": [1, "{layers}"], "t": {"x": None}},
        "tensors": {"a": [1]},
        "rules": [{"match": "*", "initializer": "zeros"}],
    }
    loaded = checkpoint.load(spec)
    assert loaded.config == {
        "n": 4,
        "s": "text",
        "list": [1, 2],
        "t": {"x": None},
        "torch_dtype": "bfloat16",
    }
    without = {key: value for key, value in spec.items() if key != "config"}
    assert loaded.canonical() == checkpoint.load(without).canonical()
    spec["config"]["n"] = "{2 * layer}"
    assert "did you mean 'layers'" in str(mistake(spec))


# --------------------------------------------------------------------------------------- recipes


def test_a_recipe_changes_what_its_rules_match_and_nothing_else(tmp_path):
    recipe = {
        "constants": {"width": 8},
        "rules": [
            {"match": "h.0.w", "initializer": "zeros"},
            {"match": "h.*.w", "initializer": "normal", "std": "1 / width", "dtype": "float16"},
        ],
    }
    before = entries(write(tmp_path, GOOD))
    after = {
        entry.name: entry for entry in checkpoint.load(write(tmp_path, GOOD), recipe=recipe).entries
    }
    assert list(after) == list(before)
    assert (after["h.0.w"].initializer, after["h.0.w"].dtype.name) == ("zeros", "float32")
    assert (after["h.1.w"].arguments, after["h.1.w"].dtype.name) == ({"std": 0.125}, "float16")
    for name in before.keys() - {"h.0.w", "h.1.w"}:
        assert after[name] == before[name]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({}, "has no rules"),
        ({"tensors": {}}, "unknown key of a recipe 'tensors'"),
        ({"rules": 3}, "must be a list"),
        ({"constants": 3, "rules": []}, "must be a table"),
        ({"rules": [{"match": "h.9.w", "initializer": "zeros"}]}, "matches no tensor; the nearest"),
        ({"rules": [{"match": "*", "initializer": "zeroes"}]}, "did you mean 'zeros'"),
        (
            {"rules": [{"match": m, "initializer": "zeros"} for m in ("*", "h.0.w")]},
            "the rule for 'h.0.w' is never used",
        ),
    ],
)
def test_a_mistake_in_a_recipe_is_reported(tmp_path, recipe, words):
    with pytest.raises(SpecError, match=words):
        checkpoint.load(write(tmp_path, GOOD), recipe=recipe)


# --------------------------------------------------------------------------------------------- ties

TIED = {
    "tensors": {
        "embedding": {"shape": [4, 2], "initializer": "normal"},
        "b": {"shape": [2], "initializer": "zeros"},
    },
    "tied": {"head": "embedding"},
}


def test_other_names_of_a_tensor_go_into_the_metadata_and_into_no_file(tmp_path):
    spec = checkpoint.load(TIED)
    assert spec.tied == {"head": "embedding"}
    for target, size in (("x.safetensors", None), ("x/", 8)):
        checkpoint.materialize(spec, f"{tmp_path}/{target}", seed=0, shard_size=size)
        found = checkpoint.spec_of(tmp_path / target)
        assert found.tied == spec.tied
        assert {entry.name for entry in found.entries} == {"embedding", "b"}
        assert checkpoint.verify(tmp_path / target)
    untied = checkpoint.load({"tensors": TIED["tensors"]})
    assert "tied" not in untied.canonical()
    assert "tied" not in spec.canonical({"b"})


@pytest.mark.parametrize(
    ("tied", "message"),
    [
        ({"head": "embeding"}, "no tensor is named so; did you mean 'embedding'"),
        ({"head": 3}, "'head' is tied to 3"),
        ({"head": "head"}, "no tensor is named so"),
        ({"b": "embedding"}, "'b' is tied to 'embedding', and is a tensor itself"),
        (["head"], "'tied' must be a table"),
    ],
)
def test_a_tie_leads_from_a_name_that_is_no_tensor_to_a_tensor(tied, message):
    with pytest.raises(SpecError, match=message):
        checkpoint.load({**TIED, "tied": tied})


def test_the_path_and_the_tensor_of_a_file_are_text_and_no_expressions(tmp_path):
    old = tmp_path / "old-1.safetensors"
    checkpoint.materialize(TIED, old, seed=3)
    shape = list(checkpoint.load(TIED).entries[0].shape)
    copied = {"initializer": "pretrained", "path": str(old), "tensor": "embedding"}
    spec = {"tensors": {"w": {"shape": shape, **copied}}}
    checkpoint.materialize(checkpoint.load(spec), tmp_path / "new.safetensors", seed=0)
    one, two = ((tmp_path / name).read_bytes() for name in ("new.safetensors", old.name))
    size = int(np.prod(shape)) * 4
    assert one[-size:] in two
    assert checkpoint.verify(tmp_path / "new.safetensors", spec)
