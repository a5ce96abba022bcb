"""Results of any machine, once they are in benchmarks/results/, are in the README, in the chart and
in the tables of the site.
"""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def machines():
    spec = importlib.util.spec_from_file_location("machines", ROOT / "benchmarks/machines.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("cpu", "name", "folder"),
    [
        ("AMD EPYC, family 25 model 17", "AMD Zen 4", "amd-zen-4"),
        ("Intel(R) Xeon(R), family 6 model 143", "Intel Sapphire Rapids", "intel-sapphire-rapids"),
        ("AMD EPYC, family 23 model 49", "AMD EPYC, family 23 model 49", "family-23-model-49"),
        ("aarch64", "aarch64", "aarch64"),
    ],
)
def test_a_cpu_has_a_folder_by_its_name_or_by_its_family_and_model(machines, cpu, name, folder):
    assert machines.name(cpu) == name
    assert machines.folder(cpu) == machines.RESULTS / folder


def test_a_cpu_is_described_by_what_its_system_says(machines):
    amd = {"model name": "AMD EPYC", "cpu family": "26", "model": "2"}
    assert machines.described(amd) == "AMD EPYC, family 26 model 2"
    arm = {"CPU implementer": "0x41", "CPU part": "0xd4f", "model name": "Neoverse"}
    assert machines.described(arm) == "Neoverse, implementer 0x41 part 0xd4f"
    assert machines.folder(machines.described(arm)).name == "implementer-0x41-part-0xd4f"
    assert machines.folder(machines.this_machine()["cpu"]).parent == machines.RESULTS


def test_every_result_is_in_the_folder_of_its_machine_and_names_its_commit(machines):
    paths = sorted(machines.RESULTS.glob("*/*.json"))
    assert len({path.parent for path in paths}) >= 2
    for path in paths:
        result = json.loads(path.read_text("utf-8"))
        assert machines.folder(result["machine"]["cpu"]) == path.parent
        assert re.fullmatch("[0-9a-f]{40}", result["commit"]), path
        assert result["part"] == path.stem


# Prints every table of the site, each after its name.
TABLES = """
import sys
sys.path.insert(0, "benchmarks")
import report
for table in (report.fills, report.cold, report.others, report.checkpoints, report.inspected,
              report.earlier):
    print("=", table.__name__)
    print("\\n".join(table()))
"""


def run(folder, *arguments):
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_third_machine_is_in_the_readme_the_chart_and_the_tables(tmp_path, machines):
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "docs").mkdir()
    results = tmp_path / "benchmarks/results"
    third = results / "intel-sapphire-rapids"
    third.mkdir()
    for part in ("fills", "sparse"):  # of a run that did not measure every part
        result = json.loads((results / f"amd-zen-4/{part}.json").read_text("utf-8"))
        result["machine"]["cpu"] = "Intel(R) Xeon(R), family 6 model 143"
        (third / f"{part}.json").write_text(json.dumps(result), "utf-8")
    row = {"name": "inspect, float32", "values": 2**28, "seconds": 0.5, "of_fill": 0.4}
    (third / "inspection.json").write_text(json.dumps({**result, "rows": [row]}), "utf-8")

    assert run(tmp_path, "benchmarks/report.py", "--check").returncode == 1
    assert run(tmp_path, "benchmarks/report.py").returncode == 0
    assert run(tmp_path, "benchmarks/report.py", "--check").returncode == 0

    readme = (tmp_path / "README.md").read_text("utf-8")
    (row,) = re.findall(r"^\| Intel Sapphire Rapids, AVX-512 \|(.+)\|$", readme, re.M)
    cells = [cell.strip() for cell in row.split("|")]
    assert re.fullmatch(r"\d+\.\d×", cells[0]) and cells[-2:] == ["—", "—"]
    assert readme.count("Sapphire Rapids") == 1  # the earlier figures are gone
    picture = (tmp_path / "docs/speed.svg").read_text("utf-8")
    assert picture.count("AMD Zen 5") == picture.count("Intel Sapphire Rapids") == 1
    before = (ROOT / "docs/speed.svg").read_text("utf-8")
    assert picture.count("× torch)") == before.count("× torch)") + 4  # a bar in each fill

    tables = dict(
        re.findall(r"^= (\w+)\n(.*?)(?=^= |\Z)", run(tmp_path, "-c", TABLES).stdout, re.M | re.S)
    )
    assert "### Intel Sapphire Rapids" in tables["fills"]
    head, _, *rows = tables["others"].splitlines()
    assert [cell.strip() for cell in head.split("|")[2:-1]] == [
        *("AMD Zen 4", "AMD Zen 5", "Intel Sapphire Rapids"),
    ]
    (sparse,) = (row for row in rows if row.startswith("| sparse"))
    assert "—" not in sparse
    assert all(row.split("|")[-2] == " — " for row in rows if row != sparse)
    assert re.search(r"^\| inspect, float32 \|.* 0\.54 \(0\.40\) \|$", tables["inspected"], re.M)
    assert "Intel" not in tables["cold"] + tables["checkpoints"] + tables["earlier"]
