"""fastinit drift: findings, a table, a bar for each layer, JSON and a page."""

import json

from fastinit.cli import main


def test_drift_prints_findings_a_table_and_layers(tmp_path, capsys):
    spec = tmp_path / "model.json"
    spec.write_text(
        json.dumps(
            {
                "tensors": {"layers.0.w": [40, 30], "layers.1.w": [40, 30]},
                "rules": [{"match": "*", "initializer": "normal"}],
            }
        )
    )
    path = tmp_path / "x.safetensors"
    main(["materialize", str(spec), "-o", str(path), "--seed", "3"])
    content = bytearray(path.read_bytes())
    content[-4 * 1200 :] = bytes(4 * 1200)  # layers.1.w becomes zero
    path.write_bytes(content)
    capsys.readouterr()
    page = tmp_path / "x.html"
    assert main(["drift", str(path), "--html", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "layers.1.w" in page.read_text("utf-8")
    assert lines[0] == "! 1 of 2 tensors have not moved at all"
    lines = lines[1:]
    assert lines[0].split() == ["tensor", "dtype", "relative", "cosine", "unchanged"]
    assert lines[1].split() == ["layers.0.w", "f32", "0", "1", "100", "%"]
    assert lines[2].split() == ["layers.1.w", "f32", "1", "-", "0", "%"]
    assert lines[4].split() == ["layer", "0", "0"]
    assert lines[5].split() == ["layer", "1", "1", "█" * 40]
    assert all(len(line) <= 80 for line in lines[:6])
    assert main(["drift", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"] == {"0": 0, "1": 1}
    assert found["rows"][1]["cosine"] is None
    assert main(["drift", str(path), "--seed", "4"]) == 0
    assert "unrelated" in capsys.readouterr().out.splitlines()[0]
    assert main(["drift", str(spec)]) == 2
