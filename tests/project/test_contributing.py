"""The page for contributors is true: its picture is drawn from the code, the paths that it names
exist, and prose on every page is wrapped.
"""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / ".github" / "CONTRIBUTING.md"
TOPS = ("fastinit/", "src/", "tests/", "docs/", "benchmarks/", ".ci/", ".github/")


def test_the_picture_of_the_imports_is_the_one_the_code_gives():
    command = [sys.executable, "-P", str(ROOT / "docs/layers.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr or "run: python -P docs/layers.py"


def test_a_picture_that_is_out_of_date_is_noticed(tmp_path):
    for name in ("docs/layers.py", "docs/layers.svg", "tests/project/test_layers.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    picture = tmp_path / "docs/layers.svg"
    picture.write_text(picture.read_text("utf-8").replace(">torch<", ">tensor<"), "utf-8")
    command = [sys.executable, "-P", str(tmp_path / "docs/layers.py"), "--check"]
    assert subprocess.run(command).returncode == 1


def test_every_path_on_the_page_exists():
    text = PAGE.read_text("utf-8")
    named = set(re.findall(r"`([\w./-]+)`", text)) | set(re.findall(r"python -P (\S+\.py)", text))
    paths = {name for name in named if name.startswith(TOPS) and "NAME" not in name}
    assert len(paths) > 20
    missing = {path for path in paths if not (ROOT / path).exists()}
    assert not missing
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert links and all((PAGE.parent / link).exists() for link in links)


def test_an_initializer_is_added_at_five_places():
    section = PAGE.read_text("utf-8").split("## Add an initializer")[1].split("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.M) == list("12345")


@pytest.mark.parametrize(
    "page", ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", "fastinit/stream-v1.md"]
)
def test_prose_is_wrapped_at_100_columns(page):
    code, long = False, []
    for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), 1):
        code ^= line.startswith("```")
        table = line.startswith(("|", "    "))  # or code
        if len(line) > 100 and not code and not table and "](" not in line:
            long.append((number, line))
    assert not long


def test_pre_commit_runs_the_lint_and_types_of_ci():
    script = (ROOT / ".ci/run").read_text("utf-8")
    step = script.split("\nlint_and_types() {\n")[1].split("\n}\n")[0]
    lines = [line.strip() for line in step.splitlines()]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    entries = re.findall(r"^ +entry: (.+)$", hooks, re.M)
    assert entries == [re.sub(r'^"\$native/([\w-]+)"', r"\1", line) for line in lines]


def test_the_citation_names_the_version_and_license_of_the_project():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    version = re.search(r'^version = "(.+)"$', project, re.M)[1]
    assert re.search(r"^version: (.+)$", citation, re.M)[1] == version
    license = re.search(r'^license = "(.+)"$', project, re.M)[1]
    assert re.search(r"^license: (.+)$", citation, re.M)[1] == license
