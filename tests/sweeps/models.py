"""Builds every model of five libraries plainly, under accelerate(), and from the meta device, and
compares the law of each parameter and buffer; models.json and models.md keep what was found.

    python -P tests/sweeps/models.py                      what models.json does not have yet
    python -P tests/sweeps/models.py --only 'timm/*'      these again
    python -P tests/sweeps/models.py --summary            models.md anew

It takes some three hours on one core and is not part of CI.  The models: catalogues.py; what is
compared: differences.py.
"""

import argparse
import fnmatch
import gc
import importlib.metadata
import json
import os
import random
import re
import resource
import select
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
RESULT = HERE / "models.json"
SUMMARY = HERE / "models.md"
LIBRARIES = ("torch", "transformers", "timm", "torchvision", "diffusers", "peft", "numpy")
LIMIT = 900  # seconds for one model, on a machine that others use too
MEMORY = 14 << 30  # bytes; what a model wants beyond is its error, not the machine's
ROUTES = ("accelerate", "meta", "construction")
SEEDS = (11, 12, 13)

# What a difference or a refusal comes from.
DRAWN = {
    "peft/adamss": "it clusters the weights that it adapts, so that its shapes depend on what is "
    "drawn",
    "peft/frod": "it decomposes the weights that it adapts, and picks columns by what it finds",
    "peft/shira": "it picks elements by a random permutation and asks which, for a plain attribute",
}
BLANK = dict.fromkeys(
    ("transformers/qwen3_omni_moe", "diffusers/LuminaNextDiT2DModel"),
    "its library leaves these as torch.empty makes them, so that there is no law",
)
NOTES = {"accelerate": DRAWN, "construction": DRAWN | BLANK, "meta": BLANK}

# ------------------------------------------------------------------------------- the child process


def child():
    """Read cases from standard input, write one line of JSON for each."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print does not disturb the answers
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import logging

    import torch

    sys.path.insert(0, str(HERE))
    import catalogues

    logging.disable(logging.ERROR)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    kept = catalogues.define_torchvision_operators()
    print(json.dumps({"cases": catalogues.cases()}), file=out, flush=True)
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(json.dumps(case(line.strip())), file=out, flush=True)
        gc.collect()
    del kept


def case(name):
    import catalogues

    began = time.perf_counter()
    try:
        make, what = catalogues.builder(name)
    except catalogues.NotBuilt as error:
        return {"not built": str(error)}
    try:
        plain = [plainly(make, seed) for seed in SEEDS]
    except Exception as error:
        return {"not built": reason(error)}
    row = {"model": what, "parameters": len(plain[0][0]), "buffers": len(plain[0][1])}
    row["values"] = sum(one.size for one in plain[0][0].values())
    row["accelerate"] = accelerated(make, plain)
    seen = {}
    row["meta"] = from_meta(make, plain, seen)
    row["construction"] = constructed(make, plain, seen)
    row["seconds"] = round(time.perf_counter() - began, 1)
    return row


def reason(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"


def reseed(seed):
    import numpy as np
    import torch

    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def values(model):
    """Two dictionaries of arrays, parameters and buffers; None for what has no values."""

    def array(tensor):
        if tensor.is_meta:
            return None
        tensor = tensor.detach()
        if tensor.is_complex():
            import torch

            tensor = torch.view_as_real(tensor)
        return (tensor if tensor.dtype.itemsize > 2 else tensor.float()).numpy()

    return (
        {name: array(one) for name, one in model.named_parameters()},
        {name: array(one) for name, one in model.named_buffers()},
    )


def plainly(make, seed):
    """Parameters and buffers as the library makes them; NaN where torch.empty is all there is."""
    import torch

    reseed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return values(make())
    finally:
        torch.use_deterministic_algorithms(False)


def compared(model, plain, also=None, seen=None, without=()):
    """The verdict about a model: equal, or what differs by name.  `seen` has what was compared
    before: both materialized routes draw equal bits.
    """
    import numpy as np
    from differences import differences

    seen = {} if seen is None else seen
    found, ours = {}, values(model)
    for kind, theirs in enumerate(plain[0]):
        for name in theirs.keys() ^ ours[kind].keys():
            found[name] = "only in ours" if name in ours[kind] else "missing in ours"
        for name in [one for one in theirs if one in ours[kind] and one not in without]:
            mine = ours[kind][name]
            if mine is None:
                found[name] = "left on meta"
                continue
            before, texts = seen.get((kind, name), (None, []))
            if before is None or not np.array_equal(before, mine):
                texts = differences([one[kind][name] for one in plain], mine)
                seen[kind, name] = mine, texts
            if texts:
                found[name] = "; ".join(texts)
    verdict = {"verdict": "differs" if found else "equal"}
    if found:
        verdict |= {"differences": dict(list(found.items())[:12]), "count": len(found)}
    return verdict | (also or {})


def accelerated(make, plain):
    import fastinit.torch as fit

    reseed(SEEDS[0] + 100)
    try:
        with fit.accelerate() as block:
            model = make()
    except Exception as error:
        return {"verdict": "failed", "reason": reason(error)}
    left = dict(block.left)
    return compared(model, plain, {"left": left} if left else None)


def from_meta(make, plain, seen):
    """By torch.device("meta"); what is refused gets zeros, so that the rest is compared too."""
    import torch

    refused, recipe, own = {}, None, "restore"
    for _ in range(8):
        try:
            with torch.device("meta"):
                model = make()
        except Exception as error:
            return {"verdict": "not built", "reason": reason(error)}
        verdict = materialized(model, recipe, plain, seen, refused, own)
        new = {name: text for name, text in verdict.get("reasons", {}).items() if name}
        if verdict["verdict"] != "refused" or not new:
            break
        refused |= new
        own = {name: "zeros" for name in refused if name in plain[0][1]} or "restore"
        recipe = {name: "zeros" for name in refused if name not in plain[0][1]} or None
    if not refused:
        return verdict
    return {
        "verdict": "refused",
        "count": len(refused),
        "reasons": dict(list(refused.items())[:8]),
        "unwritten": all(unwritten(plain, name) for name in refused),
        "others": verdict,
    }


def constructed(make, plain, seen):
    import fastinit.torch as fit

    try:
        with fit.construction() as made:
            model = make()
    except Exception as error:
        if "reads values that are drawn" in str(error):  # construction()'s own refusal
            return {"verdict": "refused", "reasons": {"": reason(error)}}
        return {"verdict": "failed", "reason": reason(error)}
    return materialized(model, made, plain, seen)


def materialized(model, recipe, plain, seen, without=(), buffers="restore"):
    """The verdict of materialize_; `without` are tensors that are not compared."""
    import fastinit.torch as fit

    reseed(SEEDS[0] + 200)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            report = fit.materialize_(model, recipe, seed=5, buffers=buffers)
        except Exception as error:
            names = dict(re.findall(r"^  (\S+): (.*)$", str(error), re.MULTILINE))
            return {"verdict": "refused", "reasons": names or {"": reason(error)}}
    also = {}
    own = [brief(str(one.message)) for one in warned if "construction()" in str(one.message)]
    if own:
        also["warned"] = "; ".join(own)
    if report.unknown:
        also["unknown"] = list(report.unknown)[:8]
    if report.computed:
        also["computed"] = len(report.computed)
    verdict = compared(model, plain, also, seen, without)
    if own and verdict["verdict"] == "differs":
        verdict["verdict"] = "warned"
    return verdict


def brief(text):
    """A warning with the first of the names that it lists."""
    return re.sub(r"(?:, [\w.]+\.[\w.]+)+", "", text)[:300]


def unwritten(plain, name):
    """Whether plain construction too leaves a parameter as torch.empty made it."""
    import numpy as np

    return all(name in one[0] and np.isnan(one[0][name]).all() for one in plain)


# -------------------------------------------------------------------------------------- the parent


class Child:
    """A process that takes one case after another; it is replaced when a case takes too long."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "models.py"), "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.cases = self.answer(240)["cases"]

    def ask(self, name):
        self.process.stdin.write(f"{name}\n".encode())
        self.process.stdin.flush()
        return self.answer(LIMIT)

    def answer(self, seconds):
        end, line = time.monotonic() + seconds, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], end - time.monotonic())
            if not ready:
                raise TimeoutError
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise ChildProcessError(f"the process ended with {self.process.wait()}")
            line += more
        return json.loads(line)

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def commit():
    """The last commit that changed the package."""
    command = ["git", "-C", str(HERE), "log", "-1", "--format=%h", "--", ":/fastinit", ":/src"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def versions():
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found | {"python": sys.version.split()[0]}


def load():
    return json.loads(RESULT.read_text()) if RESULT.exists() else {"versions": {}, "models": {}}


def save(result):
    """One line a model, so that a change is seen as such."""
    models = sorted(
        result["models"].items(), key=lambda one: (LIBRARIES.index(one[0].split("/")[0]), one[0])
    )
    rows = [f"  {json.dumps(key)}: {json.dumps(one)}" for key, one in models]
    head = json.dumps(result["versions"])
    text = f'{{\n "versions": {head},\n "models": {{\n' + ",\n".join(rows) + "\n }\n}\n"
    temporary = RESULT.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(RESULT)


def finished(row):
    return row is not None and ("not built" in row or "not run" not in verdicts(row))


def verdicts(row):
    return [row[route]["verdict"] for route in ROUTES]


def sweep(patterns, most):
    result = load()
    result["versions"] = versions()
    at, worker = commit(), Child()
    names = [
        one
        for one in worker.cases
        if (
            any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns)
            if patterns
            else not finished(result["models"].get(one))
        )
    ]
    asked = 0
    for number, name in enumerate(names[:most]):
        try:
            asked += 1
            if asked % 60 == 0:  # libraries keep what they import
                worker.end()
                worker = Child()
            row = worker.ask(name)
        except (TimeoutError, ChildProcessError, BrokenPipeError) as error:
            worker.end()
            row = {
                "not built": f"more than {LIMIT} s"
                if isinstance(error, TimeoutError)
                else str(error)
            }
            worker = Child()
        result["models"][name] = row | {"commit": at}
        save(result)
        state = row.get("not built") or " ".join(f"{r}:{row[r]['verdict']}" for r in ROUTES)
        print(
            f"{number + 1}/{len(names)} {name} {row.get('seconds', '')} {state[:150]}", flush=True
        )
    worker.end()


# ------------------------------------------------------------------------------------- the summary


def kind_of(text):
    """A reason without the names and numbers of one model."""
    text = re.sub(r" of \S+ or around it", " of its module or around it", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "…", text)
    return re.sub(r"\d[\d,.]*", "N", text)[:150]


# What a warning is about, by words in it.
WARNINGS = {
    "run once more": "what the model's own constructor gives where its code is run again, and that "
    "changes made after it are not seen",
    "init_weights() of": "an init_weights() that is not run; that its call in the constructor "
    "changes nothing cannot be seen",
    "more often than": "writes of constructors beyond reset_parameters()",
    "in the places of": "tensors that constructors replace",
    "get what _init_weights": "parameters that are not as their constructors leave them",
    "in the memory of": "tensors in the memory of others",
    "buffers in real memory": "buffers that may have been drawn",
    "the constructors of": "functions that write without a trace",
    "the code around": "code around the call that writes without a trace",
}


def warned_although_equal(built):
    """Lines about models on plain meta that have a warning and equal values."""
    equal = [row["meta"] for row in built.values() if row["meta"]["verdict"] == "equal"]
    texts = [one["warned"] for one in equal if "warned" in one]
    lines = [
        f"Of the {len(equal)} models that are equal on plain meta, {len(texts)} have a warning. It "
        "is about:",
        "",
        "| models | about |",
        "|---|---|",
    ]
    counts = Counter(
        next(
            (about for sign, about in WARNINGS.items() if sign in text), "what an older row cut off"
        )
        for text in texts
    )
    return lines + [f"| {n} | {about} |" for about, n in counts.most_common()]


def measured_at(models):
    """Lines that say which commit of the package each row is of."""
    counts = Counter(
        (row.get("commit", "before"), name.split("/")[0]) for name, row in models.items()
    )
    libraries = list(dict.fromkeys(name.split("/")[0] for name in models))
    commits = sorted({at for at, _ in counts})
    lines = [f"| the package at | {' | '.join(libraries)} |", "|---" * (len(libraries) + 1) + "|"]
    for at in commits:
        row = " | ".join(str(counts[at, one]) for one in libraries)
        lines.append(f"| {at} | {row} |")
    return lines


def summary(result):
    models = result["models"]
    built = {name: row for name, row in models.items() if "not built" not in row}
    lines = ["# Every model, built four ways", ""]
    lines += ["Written by `tests/sweeps/models.py --summary` from `models.json`.", ""]
    lines += [", ".join(f"{k} {v}" for k, v in result["versions"].items()), ""]
    lines += [
        "An adapter that draws with a generator and a seed of its own (VeRA, PVeRA, RandLoRA, "
        "TinyLoRA, FRoD) has the law of plain construction here and other values: the same at each "
        "run under accelerate(), those of the parameter's name under construction(). So an adapter "
        "that is saved without its projections is to be made outside of both. In this sweep the "
        "seed is another one in each construction, for with one alone there is no law to compare.",
        "",
    ]
    lines += ["| library | models | not built by the library | values |", "|---|---|---|---|"]
    for library in dict.fromkeys(name.split("/")[0] for name in models):
        rows = [row for name, row in models.items() if name.startswith(f"{library}/")]
        good = [row for row in rows if "not built" not in row]
        total = sum(row["values"] for row in good)
        lines.append(f"| {library} | {len(good)} | {len(rows) - len(good)} | {total:,} |")
    lines += ["", "| library | route | equal | warned | differs | refused | failed | not run |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for library in dict.fromkeys(name.split("/")[0] for name in built):
        for route in ROUTES:
            seen = Counter(
                row[route]["verdict"]
                for name, row in built.items()
                if name.startswith(f"{library}/")
            )
            counts = [seen[one] for one in ("equal", "warned", "differs", "refused")]
            failed = seen["failed"] + seen["not built"]
            lines.append(
                f"| {library} | {route} | "
                + " | ".join(map(str, [*counts, failed, seen["not run"]]))
                + " |"
            )
    lines += [
        "",
        "Warned: the values are other ones than plain construction's, and a warning says which "
        "and that construction() has them. Failed, under meta: the library's constructor does not "
        "run on torch's meta device.",
        "",
        *warned_although_equal(built),
        "",
        "How many rows were measured with which version of the package, by the last commit that "
        "changed it; before: measured before such commits were kept.",
        "",
        *measured_at(models),
        "",
        "A refusal names each parameter and buffer, and advises construction(); the reasons, and "
        "how many models have them:",
    ]
    lines += ["", "| route | models | reason |", "|---|---|---|"]
    for route in ROUTES:
        reasons = Counter(
            text
            for row in built.values()
            if row[route]["verdict"] == "refused"
            for text in {kind_of(one) for one in row[route]["reasons"].values()}
        )
        lines += [f"| {route} | {n} | {text} |" for text, n in reasons.most_common()]
    for route in ROUTES:
        bad = {
            n: r[route] for n, r in built.items() if r[route]["verdict"] not in ("equal", "not run")
        }
        if not bad:
            continue
        lines += ["", f"## {route}: not equal", "", "| model | verdict | what |", "|---|---|---|"]
        for name, row in sorted(bad.items(), key=lambda one: (one[1]["verdict"], one[0])):
            notes = row.get("reasons") or row.get("differences") or {"": row.get("reason", "")}
            key, text = next(iter(notes.items()))
            more = row.get("count", 1) - 1
            if "others" in row and row["others"]["verdict"] != "equal":
                text += f"; the others: {row['others']['verdict']}"
            what = f"{key} {text}"[:240].replace("|", "\\|").replace("\n", " ")
            tail = f" (and {more} more)" if more > 0 else ""
            if name in NOTES[route]:
                tail += f"; {NOTES[route][name]}"
            lines.append(f"| {name} | {row['verdict']} | {what}{tail} |")
    left = {name: row["not built"] for name, row in models.items() if "not built" in row}
    if left:
        lines += ["", "## Not built by the library itself", "", "| model | why |", "|---|---|"]
        lines += [f"| {name} | {text[:150]} |".replace("\n", " ") for name, text in left.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="run what matches again")
    parser.add_argument("--most", type=int, metavar="N", help="at most so many cases")
    parser.add_argument("--summary", action="store_true", help="only write models.md anew")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child()
    if not arguments.summary:
        sweep(arguments.only, arguments.most)
    SUMMARY.write_text(summary(load()))
    return None


if __name__ == "__main__":
    sys.exit(main())
