"""The CPU that a benchmark ran on, and the folder of its results: benchmarks/results/FOLDER/.

run.py writes into the folder of its own CPU, and report.py reads all folders, so results of another
machine appear on every page once they are there.  Results of a CUDA card are files of their own
beside the folders (cuda.py).
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import re
from typing import Any

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
# By family and model.  AMD's families here begin at 23, and all of Intel's are 6.
NAMES = {
    (25, 17): "AMD Zen 4",
    (26, 2): "AMD Zen 5",
    (6, 106): "Intel Ice Lake",
    (6, 143): "Intel Sapphire Rapids",
    (6, 207): "Intel Emerald Rapids",
    (6, 173): "Intel Granite Rapids",
}
Result = dict[str, Any]


def this_machine() -> dict[str, Any]:
    """What a result says about the machine that it was measured on."""
    fields: dict[str, str] = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            pairs = (line.split(":", 1) for line in file if ":" in line)
            fields = {key.strip(): value.strip() for key, value in pairs}
    return {
        "cpu": described(fields),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def described(fields: dict[str, str]) -> str:
    """The model name and the numbers of a CPU, from the fields of /proc/cpuinfo."""
    known = fields.get("model name") or platform.processor() or platform.machine()
    keys = (("family", "cpu family"), ("model", "model"))
    if "CPU part" in fields:  # ARM
        keys = (("implementer", "CPU implementer"), ("part", "CPU part"))
    numbers = " ".join(f"{label} {fields[key]}" for label, key in keys if key in fields)
    return f"{known}, {numbers}" if numbers else known


def name(cpu: str) -> str:
    """The name of a described CPU: that of NAMES, or the description itself."""
    numbers = re.search(r"family (\d+) model (\d+)$", cpu)
    return NAMES.get((int(numbers[1]), int(numbers[2])), cpu) if numbers else cpu


def folder(cpu: str) -> pathlib.Path:
    """The folder of a CPU's results: named after it, or after its family and model."""
    known = name(cpu)
    label = known if known != cpu else cpu.rpartition(", ")[2]
    return RESULTS / re.sub(r"\W+", "-", label.lower()).strip("-")


def load(part: str) -> dict[str, Result]:
    """The results of a part by the names of the machines that it was run on."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(RESULTS.glob(f"*/{part}.json"))]
    return {name(result["machine"]["cpu"]): result for result in found}
