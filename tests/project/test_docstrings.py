"""Every public docstring has numpydoc's form, begins with the formula, and shares its common lines.

Its examples print what they say, because the bits are promised.
"""

import doctest
import importlib
import inspect
import io

import numpy as np
import pytest

import fastinit as fi
from fastinit import _table

PUBLIC = sorted({getattr(fi, name).__name__ for name in fi.__all__ if callable(getattr(fi, name))})

# The entries that initializers share, with the same text everywhere.
SHARED = """
shape : int or sequence of int, optional
    Sizes of the whole tensor; may be omitted where `out` has them.
layout : str, default "oi"
    "oi" for ``(out, in, *kernel)``, "io" for ``(*kernel, in, out)``, or a spelling: `fans`.
in_axis, out_axis : int or sequence of int, optional
    Input and output axes; give both or neither. They override `layout`.
batch_axis : int or sequence of int, default ()
    Axes of independent weights, such as heads or experts; no fan counts them.
groups : int, default 1
    Equal blocks stacked along the out axis, such as 3 for fused q, k and v.
seed : int, optional
    In [0, 2**64). None draws a new seed, and no two such calls agree.
name : str or int, optional
    The tensor's name: under one seed, different names give unrelated values.
dtype : str or dtype, optional
    "float32" by default, or that of `out`; any of `fastinit.typing.DtypeName`.
out : buffer, optional
    CPU memory to fill in place and return: array, memmap, buffer or DLPack.
region : slice, int or tuple of these, optional
    The part of `shape` to fill, one entry per axis; it has the bits it has in the whole.
threads : int, optional
    The most threads to use; their number does not change the bits.
"""
# Where a shared name means something else.
OWN = {
    ("pretrained", "shape"),  # the file has one
    ("pretrained", "dtype"),
    ("pretrained", "region"),  # says what is read
    ("dirac", "layout"),  # two layouts only
    ("dirac", "groups"),  # a convolution's
    ("bilinear", "layout"),
    ("icnr", "layout"),  # names the order of outputs
    ("idinit", "layout"),
    ("zero_hadamard", "layout"),
    ("orthogonal", "layout"),
    ("orthogonal", "batch_axis"),  # a batch of matrices, of which there are no fans
    ("orthogonal", "groups"),
    ("delta_orthogonal", "layout"),
    ("convolutional_orthogonal", "layout"),
}

# Checks of numpydoc.validate that are off, each with its reason.
OFF = {
    "SS05": "a summary is a formula, not a sentence with a verb",
    "SS02": "a formula may begin with a small letter or a name",
    "ES01": "no extended summary where the formula says all",
    "EX01": "examples are counted and run by a test of this file",
    "SA01": "a function without equal or sibling has no See Also",
    "RT02": "numpydoc wants the bare type; a result of two kinds is described",
}


def entries(text):
    """The entries of a Parameters section, by their names before the colon."""
    found, key = {}, None
    for line in text.strip("\n").splitlines():
        if line and not line.startswith(" "):
            key = line.split(" : ")[0]
            found[key] = [line]
        elif key is not None and line:
            found[key].append(line)
    return {key: "\n".join(lines) for key, lines in found.items()}


def section(function, title):
    lines = inspect.getdoc(function).splitlines()
    if title not in lines:
        return ""
    begin = lines.index(title) + 2
    end = next((i for i in range(begin, len(lines)) if lines[i].startswith("---")), len(lines) + 1)
    return "\n".join(lines[begin : end - 1])


@pytest.mark.parametrize("name", sorted(_table.INITIALIZERS))
def test_the_parameters_that_initializers_share_are_described_alike(name):
    function, master = getattr(fi, name), entries(SHARED)
    parameters = inspect.signature(function).parameters
    documented = entries(section(function, "Parameters"))
    for key, entry in master.items():
        names = key.split(", ")
        if (name, key) in OWN:
            assert documented[key] != entry, f"({name}, {key}) is listed as its own and is not"
        elif names[0] in parameters and all(each in parameters for each in names):
            assert documented[key] == entry
    assert {key for owner, key in OWN if owner == name} <= set(documented)


def test_every_shared_entry_is_used():
    documented = [
        entries(section(function, "Parameters")) for function in _table.INITIALIZERS.values()
    ]
    for key, entry in entries(SHARED).items():
        assert sum(each.get(key) == entry for each in documented) > 1, key


def faults(function):
    """What numpydoc.validate finds, by code."""
    from numpydoc.docscrape import get_doc_object
    from numpydoc.validate import validate

    return dict(validate(get_doc_object(function))["errors"])


@pytest.mark.tools
@pytest.mark.parametrize("name", PUBLIC)
def test_numpydoc_finds_nothing_wrong(name):
    assert set(faults(getattr(fi, name))) <= set(OFF)


ROOMS = ("checkpoint", "diagnostics", "inspection")


@pytest.mark.tools
@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_and_classes_of_other_rooms_have_numpydocs_form(room):
    from numpydoc.docscrape import get_doc_object

    module = importlib.import_module(f"fastinit.{room}")
    found = {}
    for name in module.__all__:
        public = getattr(module, name)
        if inspect.isfunction(public):
            found[name] = set(faults(public)) - set(OFF)
        elif inspect.isclass(public) and not issubclass(public, Exception):
            rows = get_doc_object(public)["Attributes"]
            documented = {one for row in rows for one in row.name.split(", ")}
            found[name] = set(inspect.signature(public).parameters) - documented
    assert {name: missing for name, missing in found.items() if missing} == {}


def rendering(function):
    """The warnings of docutils about the docstring, as numpydoc hands it to Sphinx."""
    import docutils.core
    from docutils.parsers.rst import Directive, directives, roles
    from numpydoc.docscrape_sphinx import SphinxFunctionDoc

    class Kept(Directive):  # Sphinx's own directives: their content is read as any other
        has_content, optional_arguments, final_argument_whitespace = True, 1, True

        def run(self):
            from docutils import nodes

            node = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, node)
            return [node]

    for directive in ("seealso", "only"):
        directives.register_directive(directive, Kept)
    roles.register_generic_role("obj", __import__("docutils.nodes").nodes.literal)
    said = io.StringIO()
    docutils.core.publish_doctree(
        str(SphinxFunctionDoc(function)), settings_overrides={"warning_stream": said}
    )
    return said.getvalue()


@pytest.mark.tools
@pytest.mark.parametrize("name", PUBLIC)
def test_sphinx_renders_it_without_a_warning(name):
    assert rendering(getattr(fi, name)) == ""


@pytest.mark.tools
def test_faults_of_a_docstring_are_found():
    def bad(shape, seed=None):
        """Value |W| of kaiming_normal_ everywhere

        Parameters
        ----------
        shape : integer
            sizes, (out, *kernel), of the tensor
        sead : int
        """

    assert set(faults(bad)) >= {"SS03", "PR01", "PR02", "PR06", "PR07", "PR08", "PR09"}
    for fault in ("substitution_reference", "Unknown target name", "emphasis"):
        assert fault in rendering(bad) or fault.replace("_", " ") in rendering(bad)


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_print_what_they_say(name):
    function = getattr(fi, name)
    example = doctest.DocTestParser().get_doctest(
        inspect.getdoc(function), {"fi": fi, "np": np}, name, None, 0
    )
    with np.printoptions():
        found = doctest.DocTestRunner(verbose=False).run(example)
    assert found.failed == 0
    assert found.attempted or name in ("Fans", "new_seed")


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_say_the_formula_in_their_one_line_summary(name):
    first = inspect.getdoc(getattr(fi, name)).splitlines()
    assert first[0].endswith(".") and (len(first) == 1 or not first[1])
    assert all(len(line) <= 96 for line in first)


def test_no_example_is_skipped():
    for name in PUBLIC:
        assert "+SKIP" not in getattr(fi, name).__doc__
