"""The figures: written as PNG and SVG, with every curve, the same bytes each time."""

import errno
import os

import pytest

from fastinit import diagnostics
from fastinit.diagnostics import figures
from fastinit.diagnostics.coordinates import Coordinate, CoordinateCheck, judge

pytestmark = pytest.mark.frameworks  # matplotlib


@pytest.fixture(scope="module")
def found():
    return diagnostics.compare("normal:0.01,he_normal,eye,zeros", "tanh,relu", depth=4, width=16)


def test_a_png_and_an_svg_are_written_and_are_the_same_twice(found, tmp_path):
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        paths = [tmp_path / f"{number}{suffix}" for number in (1, 2)]
        for path in paths:
            figures.save(figures.comparison(found), str(path))
        assert paths[0].read_bytes().startswith(start)
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_every_curve_and_its_theory_is_drawn(found):
    figure = figures.comparison(found)
    assert len(figure.axes) == 4
    for axes in figure.axes:
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert len(axes.lines) - len(dashed) == 4 and len(dashed) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["normal:0.01", "he_normal", "eye", "zeros"]
    assert list(figure.axes[0].lines[0].get_ydata()) == list(found.curves[0].forward)


def test_another_suffix_is_refused():
    with pytest.raises(ValueError, match=r"ends in \.png or \.svg"):
        figures.check("depth.gif")


def test_a_coordinate_check_has_a_panel_for_each_step_and_what_failed_in_red():
    coordinates = tuple(
        Coordinate(name, step, (1.0, 1.0, 4.0 if name == "bad" and step else 1.0), False)
        for step in range(4)
        for name in ("good", "bad")
    )
    widths = (32, 64, 128)
    slopes = judge(widths, coordinates, {}, 0.2)
    found = CoordinateCheck(widths, 3, 0, 0.2, coordinates, slopes)
    seen = [axes for axes in figures.coordinates(found).axes if axes.get_visible()]
    assert [axes.get_title() for axes in seen] == ["init", "step 1", "step 2", "step 3"]
    colors = [[line.get_color() for line in axes.lines[:2]] for axes in seen]
    grey, orange = figures.VERDICTS["pass"], figures.VERDICTS["unclear"]
    assert colors[0] == [grey, grey] and colors[3] == [grey, orange]


def test_a_figure_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.svg"
    figure = figures.new_figure(2.0, 1.0)
    figures.save(figure, str(path))
    old = path.read_bytes()

    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", no_space)
    with pytest.raises(OSError, match="No space left"):
        figures.save(figure, str(path))
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_a_figure_in_a_folder_that_is_not_there_is_refused_before_any_work(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder; make it first"):
        figures.check(str(tmp_path / "none" / "figure.svg"))
