"""Values that are wrong for nearly every argument, and what a function may do with them."""

import inspect
import math
import os


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no text")


# Each is made anew for each call, because the first would use a generator up.
WRONG = {
    "5,000 digits": lambda: 10**5000,
    "-5,000 digits": lambda: -(10**5000),
    "megabytes": lambda: "x" * 2_000_000,
    "megabytes of bytes": lambda: b"x" * 2_000_000,
    "a surrogate": lambda: "\ud800",
    "NUL": lambda: "a\0b",
    "''": lambda: "",
    "None": lambda: None,
    "nan": lambda: math.nan,
    "inf": lambda: math.inf,
    "-1": lambda: -1,
    "0.5": lambda: 0.5,
    "True": lambda: True,
    "1j": lambda: 1j,
    "[]": list,
    "{}": dict,
    "[None]": lambda: [None],
    "[5,000 digits]": lambda: [10**5000],
    "[megabytes]": lambda: ["x" * 2_000_000],
    "{surrogate}": lambda: {"\ud800": None},
    "{number}": lambda: {3: None},
    "a generator": lambda: (one for one in ()),
    "an iterator without end": lambda: iter(int, 1),
    "an object": Unprintable,
    "a class": lambda: int,
}
# What else a message may call an argument.
_MODEL = ("path", "spec", "preset", "mapping")
_WORDS = {
    **dict.fromkeys(("against", "one", "source", "two", "spec", "recipe"), _MODEL),
    "initializers": ("initializer",),
    "activations": ("activation",),
    "name": ("preset",),
}
# They begin the lists of all names, which are not counted as the length.
_LISTS = ("; known are", "; there are")


def functions(package):
    """The names of a package's public functions."""
    return {name for name in package.__all__ if inspect.isfunction(getattr(package, name))}


def check(function, good, accepted, folder):
    """Try the wrong values of every argument; `accepted` are those that an argument takes."""
    assert good.keys() == inspect.signature(function).parameters.keys()
    before = set(os.listdir(folder))
    for key in good:
        assert set(taken(function, good, key, folder)) == accepted.get(key, set()), key
        for name in set(os.listdir(folder)) - before:
            os.unlink(os.path.join(folder, name))


def taken(function, good, key, folder):
    """The wrong values of an argument that a function takes; all others it must refuse by an error
    of a proper class that names the argument in few words, and leave the folder as it was.
    """
    found = []
    before = sorted(os.listdir(folder))
    for label, make in WRONG.items():
        try:
            result = function(**{**good, key: make()})
            if inspect.isgenerator(result):
                list(result)
            found.append(label)
        except (TypeError, ValueError, OSError) as error:
            text = str(error)
            for mark in _LISTS:
                text = text.split(mark)[0]
            assert len(text) <= 400, (key, label, text[:500])
            words = (key, *_WORDS.get(key, ()), *(["No such file"] if label == "''" else []))
            assert any(word in text for word in words), (key, label, text)
            assert found or sorted(os.listdir(folder)) == before, (key, label)
    return found
