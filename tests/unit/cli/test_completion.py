"""fastinit --print-completion: its script in a real bash."""

import shutil
import subprocess
import sys

import pytest

from fastinit import checkpoint
from fastinit.cli import main

# Asks bash's completion function for each line of the input, with the cursor at its end.
ASK = """
source "$1"
while IFS= read -r line; do
  read -r -a COMP_WORDS <<< "$line"
  [[ $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _shtab_fastinit
  echo "$(printf '%s\\n' "${COMPREPLY[@]}" | sort -u | tr '\\n' ' ')"
done
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "fastinit.bash"
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        assert main(["--print-completion", "bash"]) == 0
    return path


@pytest.mark.skipif(not shutil.which("bash"), reason="bash")
def test_bash_completes_commands_options_presets_initializers_and_files(script, tmp_path):
    (tmp_path / "gpt2-mine.toml").touch()
    (tmp_path / "weights").mkdir()
    expected = {
        "fastinit mat": ["materialize"],
        "fastinit co": ["compare", "coordcheck"],
        "fastinit materialize --re": ["--recipe", "--resume"],
        "fastinit materialize gpt2": ["gpt2", "gpt2-mine.toml", "gpt2-xl"],
        "fastinit materialize gpt2 --recipe gpt2": ["gpt2-mine.toml"],
        "fastinit materialize gpt2 --resume -o w": ["weights"],
        "fastinit audit weights --against gpt2-x": ["gpt2-xl"],
        "fastinit presets llama-3-": ["llama-3-70b", "llama-3-8b"],
        "fastinit explain he_n": ["he_normal"],
        "fastinit explain he_normal 3 --name gpt": [],
        "fastinit compare --init xavier_u": ["xavier_uniform"],
        "fastinit compare --activation re": ["relu"],
        "fastinit --print-completion b": ["bash"],
        "fastinit inspect ": ["gpt2-mine.toml", "weights"],
        "fastinit laws ": sorted([*checkpoint.presets(), "gpt2-mine.toml", "weights"]),
    }
    asked = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", script],
        input="".join(f"{line}\n" for line in expected),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        check=True,
    )
    assert asked.stderr == ""
    found = [line.split() for line in asked.stdout.splitlines()]
    assert dict(zip(expected, found, strict=True)) == expected


def test_other_shells_get_their_own_scripts(capsys):
    for shell in ("zsh", "tcsh"):
        assert main(["--print-completion", shell]) == 0
        text = capsys.readouterr().out
        assert "materialize" in text and "he_normal" in text
    with pytest.raises(SystemExit):
        main(["--print-completion", "cmd"])


def test_without_shtab_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["--print-completion", "bash"]) == 1
    assert "pip install 'fastinit-weights[completion]'" in capsys.readouterr().err
