"""Events for programs: one JSON object a line, and nothing else on stdout."""

import json

import pytest

from fastinit import checkpoint
from fastinit.cli import main, progress


@pytest.fixture
def every_time(monkeypatch):
    """An event of progress for each call, not two a second."""
    monkeypatch.setattr(progress, "INTERVAL", 0)


@pytest.fixture
def events(capsys):
    """What a command line prints, and its status."""

    def run(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return [json.loads(line) for line in out.splitlines()], status

    return run


def of_kind(found, kind):
    return [one for one in found if one["event"] == kind]


def test_materialize_reports_start_progress_files_and_done(tmp_path, spec, events, every_time):
    folder = f"{tmp_path}/model/"
    line = ["materialize", spec, "-o", folder, "--seed", 3, "--shard-size", 40, "--json"]
    found, status = events(*line)
    assert status == 0
    assert [found[0]["event"], found[-1]["event"]] == ["start", "done"]
    start, done = found[0], found[-1]
    written = [one["file"] for one in of_kind(found, "file") if one["state"] == "written"]
    assert written == done["written"]
    assert set(written) == {path.name for path in (tmp_path / "model").iterdir()}
    assert start["seed"] == done["seed"] == 3
    assert start["tensors"] == done["tensors"] == 5
    sizes = [one["bytes"] for one in of_kind(found, "file")]
    assert sizes == [(tmp_path / "model" / name).stat().st_size for name in written]
    advanced = of_kind(found, "progress")
    assert len(advanced) > start["files"] > 1
    assert {one["total"] for one in advanced} == {start["bytes"]} == {done["size"]}
    reached = [one["bytes"] for one in advanced]
    assert reached == sorted(reached) and reached[-1] == start["bytes"]
    assert advanced[-1]["remaining"] == 0 and all(one["rate"] > 0 for one in advanced)
    kept, status = events(*line, "--resume")
    assert status == 0
    assert {one["state"] for one in of_kind(kept, "file")} == {"kept"}


def test_progress_is_reported_at_the_end_even_of_a_very_short_job(tmp_path, spec, events):
    found, _ = events("materialize", spec, "-o", tmp_path / "x.safetensors", "--seed", 3, "--json")
    assert [one["event"] for one in found] == ["start", "progress", "file", "done"]
    assert found[2]["file"] == "x.safetensors"
    assert found[2]["bytes"] == (tmp_path / "x.safetensors").stat().st_size


def test_verify_reports_each_tensor(tmp_path, spec, events):
    path = tmp_path / "x.safetensors"
    checkpoint.materialize(spec, path, seed=3)
    found, status = events("verify", path, "--json")
    assert status == 0
    assert [one["name"] for one in of_kind(found, "tensor") if one["equal"]] == [
        tensor.name for tensor in checkpoint.verify(path).tensors
    ]
    content = bytearray(path.read_bytes())
    content[-2:] = b"\x80\x7f"  # of the last tensor, "identity": infinity
    path.write_bytes(content)
    found, status = events("verify", path, "--json")
    assert status == 1
    [wrong] = [one for one in of_kind(found, "tensor") if not one["equal"]]
    assert (wrong["name"], wrong["place"], wrong["different"]) == ("identity", [3, 3], 1)
    assert (wrong["expected"], wrong["found"]) == (1.0, "inf")
    assert found[-1]["equal"] == 4 and found[-1]["tensors"] == 5


def test_a_dry_run_reports_the_plan_and_writes_nothing(tmp_path, spec, events):
    found, status = events("materialize", spec, "--seed", 3, "--dry-run", "--json")
    assert status == 0
    plan = checkpoint.plan(spec, 3)
    assert [one["name"] for one in of_kind(found, "tensor")] == [
        tensor.name for tensor in plan.files[0].layout.tensors
    ]
    assert of_kind(found, "file") == [
        {"event": "file", "file": "model.safetensors", "bytes": plan.size, "state": "planned"}
    ]
    assert found[-1]["values"] == plan.values
    assert list(tmp_path.iterdir()) == [tmp_path / "model.toml"]


def test_an_error_is_a_line_on_stderr_and_no_event(tmp_path, spec, capsys):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"here")
    assert main(["materialize", spec, "-o", str(path), "--seed", "3", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["start"]
    assert err.startswith("fastinit: error:") and err.count("\n") == 1
