"""The page: self-contained, small, safe with a stranger's names, and used in a real browser."""

import json
import math
import re
import shutil
import subprocess

import numpy as np
import pytest

import fastinit as fi
from fastinit._laws import Law, law
from fastinit.inspection import report
from fastinit.inspection.statistics import statistics

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
browser = pytest.mark.browser


def rows_of(count):
    """A model of so many tensors: layers of three, and one alone that is odd."""
    found = []
    for number in range(count - 1):
        layer, kind = divmod(number, 3)
        name = f"layers.{layer}.part{kind}.weight"
        numbers = statistics(fi.normal((60, 50), seed=number % 7, std=0.02))
        found.append(
            {
                "name": name,
                "findings": [],
                "dtype": "float32",
                "shape": (60, 50),
                "mean": numbers.mean,
                "std": 0.02 + layer / 1000,
                "skewness": numbers.skewness,
                "edges": numbers.histogram.edges.tolist(),
                "counts": numbers.histogram.counts.tolist(),
                "law": law(name, (60, 50), "normal", {"std": 0.02}),
            }
        )
    odd = {"name": "</script><b>bad", "findings": ["never filled"], "std": math.nan, "shape": ()}
    return [*found, odd]


def content(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text[1])


def test_a_page_of_1000_tensors_is_below_2_mb():
    page = report.page("audit: model", rows_of(1000), measure="std")
    assert len(page.encode()) < 2_000_000
    assert len(content(page)["rows"]) == 1000


def test_a_page_needs_no_network_and_no_name_ends_its_data():
    page = report.page("a </script> title", rows_of(4), measure="std")
    assert not re.search(r"(src|href)\s*=|url\(|@import|fetch\(|https?://(?!www\.w3\.org)", page)
    assert page.count("</script>") == 2
    data = content(page)
    assert data["title"] == "a </script> title"
    assert data["rows"][-1]["name"] == "</script><b>bad"
    assert data["rows"][-1]["std"] is None


def test_lone_surrogates_do_not_stop_a_page():
    page = report.page("x", [{"name": "bad \ud800", "findings": []}], measure="std")
    assert page.encode("utf-8")


def test_merged_bins_keep_all_counts():
    edges, counts = statistics(fi.normal((50_000,), seed=0)).histogram
    fewer, sums = report.merged(edges.tolist(), counts.tolist())
    assert len(sums) <= report.BINS
    assert len(fewer) == len(sums) + 1
    assert sum(sums) == 50_000
    assert (fewer[0], fewer[-1]) == (edges[0], edges[-1])


@pytest.mark.parametrize(
    "initializer,arguments",
    [
        ("normal", {"std": 0.5, "mean": 0.25}),
        ("uniform", {"low": -1.0, "high": 0.5}),
        ("truncated_normal", {"std": 0.5}),
        ("he_normal", {}),
    ],
)
def test_the_expected_shares_are_those_of_many_draws(initializer, arguments):
    values = getattr(fi, initializer)((400, 500), seed=0, **arguments)
    edges, counts = statistics(values).histogram
    shares = report.expected(law("w", (400, 500), initializer, arguments), edges.tolist())
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert np.abs(counts / values.size - shares).max() < 5e-3


def test_laws_without_a_density_have_no_shares():
    for one in (law("w", (4, 4), "orthogonal", {}), law("b", (4,), "zeros", {})):
        assert report.expected(one, [0.0, 1.0]) is None
    assert report.expected(Law("w", 1, (2,), "unknown"), [0.0, 1.0]) is None


@pytest.mark.parametrize(
    "name,expected",
    [
        ("h.3.attn.weight", (3, "h.*.attn.weight")),
        ("encoder/layer/11/kernel", (11, "encoder/layer/*/kernel")),
        ("layers.2.experts.7.w", (2, "layers.*.experts.7.w")),
        ("lm_head.weight", (None, "lm_head.weight")),
        ("conv1.weight", (None, "conv1.weight")),
        ("0", (0, "*")),
    ],
)
def test_a_layer_is_the_first_number_of_a_name(name, expected):
    assert report.layer_of(name) == expected


@pytest.mark.frameworks
def test_a_figure_has_a_line_for_each_kind_of_tensor():
    """Needs matplotlib."""
    figure = report.figure("x", rows_of(13), measure="std")
    [axes] = figure.axes
    assert len(axes.lines) == 3
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.02, 0.021, 0.022, 0.023])


# ------------------------------------------------------------------------------ in a real browser

# Runs in the page after it has drawn itself, and leaves what it saw for the test to read.
LOOK = """
const seen = {}, box = element => element.getBoundingClientRect();
const text = element => element.innerText.trim(), lines = () => [...at("body").children];
seen.title = text(at("title"));
seen.findings = [...at("findings").children].map(text);
seen.findings_first = box(at("findings")).top < box(at("scroll")).top;
seen.rows = lines().length;
seen.width = [document.documentElement.scrollWidth, innerWidth];
seen.paper = getComputedStyle(document.body).backgroundColor;
seen.ink = getComputedStyle(document.body).color;
seen.opened = text(at("detail").querySelector("h2"));
seen.first_row = lines()[0].dataset.name;
const links = at("findings").querySelectorAll("button");
if (links.length) [...links].at(-1).click();
seen.found = text(at("detail"));
const column = label => [...at("head").children].find(one => text(one) === label);
const values = label => lines().map(line => text(line.children[[...at("head").children]
  .indexOf(column(label))]));
column("std").querySelector("button").click();
seen.ascending = values("std");
seen.sorted = column("std").getAttribute("aria-sort");
column("std").querySelector("button").click();
seen.descending = values("std");
at("filter").value = "PART1"; at("filter").dispatchEvent(new Event("input"));
seen.filtered = values("tensor");
const key = (name, target) => target.dispatchEvent(new KeyboardEvent("keydown",
  {key: name, bubbles: true, cancelable: true}));
lines()[0].focus();
key("ArrowDown", document.activeElement);
seen.focused = document.activeElement === lines()[1];
key("Enter", document.activeElement);
seen.entered = text(at("detail").querySelector("h2"));
seen.selected = lines().map(line => line.getAttribute("aria-selected"));
const plot = at("detail").querySelector("svg");
seen.bars = plot.querySelectorAll(".bar").length;
seen.bar_heights = [...plot.querySelectorAll(".bar")].map(bar => box(bar).height);
seen.law = plot.querySelectorAll(".law").length && box(plot.querySelector(".law")).height;
seen.caption = text(at("detail").querySelector("p"));
seen.layers = [...at("layers").children].map(one => [text(one),
  one.querySelectorAll("circle").length, box(one).width > 100]);
at("measure").value = "mean"; at("measure").dispatchEvent(new Event("change"));
seen.means = [...at("layers").children].map(text);
seen.tab_stops = document.querySelectorAll("tbody tr[tabindex='0']").length;
document.body.replaceChildren(make("pre", JSON.stringify(seen), {id: "seen"}));
"""


def looked_at(tmp_path, *options, findings=()):
    page = report.page("inspect: model", rows_of(13), measure="std", findings=findings)
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", f"<script>{LOOK}</script></body>"), "utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",  # a container runs as root
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'profile'}",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


@browser
def test_a_reader_finds_sorts_and_opens_tensors(tmp_path):
    seen = looked_at(tmp_path, "--window-size=1200,900")
    assert seen["title"] == "inspect: model"
    assert seen["findings"] == ["</script><b>bad: never filled"]
    assert seen["findings_first"]
    assert seen["rows"] == 13
    assert seen["opened"] == "</script><b>bad"  # what is odd is open at first
    assert seen["first_row"] == "</script><b>bad"
    assert seen["sorted"] == "ascending"
    assert seen["ascending"][-1] == seen["descending"][-1] == "–"  # what is missing comes last
    numbers = [float(text) for text in seen["ascending"][:-1]]
    assert numbers == sorted(numbers) and numbers[0] < numbers[-1]
    assert seen["descending"][:-1] == sorted(seen["ascending"][:-1], reverse=True)
    assert len(seen["filtered"]) == 4
    assert all("part1" in name for name in seen["filtered"])
    assert seen["focused"]
    assert seen["entered"] == seen["filtered"][1]
    assert seen["selected"] == ["false", "true", "false", "false"]
    assert seen["tab_stops"] == 1
    assert seen["bars"] > 20
    assert max(seen["bar_heights"]) > 50
    assert seen["law"] > 50
    assert "normal, mean 0, std 0.02" in seen["caption"]
    assert [one[1:] for one in seen["layers"]] == [[4, True]] * 3
    assert seen["layers"][0][0].startswith("layers.*.part0.weight: 0.02 to 0.023")
    assert seen["means"] != [one[0] for one in seen["layers"]]


@browser
def test_findings_of_the_whole_are_listed_alone_and_open_the_tensor_that_they_name(tmp_path):
    findings = [
        "seed 0 fits none of the 12 drawn tensors",
        "1 tensor was never filled, </script><b>bad: never filled",
        "2 tensors are on their laws: drawn again, such as layers.1.part0.weight",
    ]
    seen = looked_at(tmp_path, "--window-size=1200,900", findings=findings)
    assert seen["findings"] == findings
    assert seen["opened"] == "</script><b>bad"
    assert seen["found"].startswith("layers.1.part0.weight")


def luminance(color):
    return sum(int(part) for part in re.findall(r"\d+", color)[:3])


@browser
def test_the_page_fits_a_phone_and_follows_dark_mode(tmp_path):
    light = looked_at(tmp_path, "--window-size=500,900", "--blink-settings=preferredColorScheme=1")
    assert light["width"][0] <= light["width"][1] <= 500  # only the table scrolls sideways
    assert luminance(light["paper"]) > 600 > 200 > luminance(light["ink"])
    dark = looked_at(tmp_path, "--window-size=500,900", "--blink-settings=preferredColorScheme=0")
    assert luminance(dark["paper"]) < 200 < 600 < luminance(dark["ink"])
