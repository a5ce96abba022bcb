"""The command `fastinit`: materialize, verify, spec, presets, explain, picture, info.

Only this file and __main__.py print and exit.  Exit status: 0 done; 1 it could not be done (file,
disk, memory), or verify found a difference; 2 the command line or the spec is wrong; 130, 143, 129
stopped by Ctrl-C, SIGTERM, SIGHUP.  Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import fastinit as fi

from . import checkpoint
from ._core import engine as _engine
from ._core.arguments import shown
from ._core.draws import Draw
from ._core.dtypes import CONSTANT, TRUNCATED_NORMAL, UNIFORM, DType, decode
from .checkpoint.expressions import evaluate

EPILOG = """examples:
  fastinit materialize gpt2 -o gpt2 --seed 0
  fastinit materialize model.toml -o model.safetensors --dtype bfloat16 --dry-run
  fastinit verify gpt2
  fastinit presets gpt2 > model.toml
  fastinit spec path/to/config.json > model.toml
  fastinit explain he_normal 3072 768 mode=fan_out --name mlp.up.weight
"""


class Stopped(KeyboardInterrupt):
    """A signal that asks the program to end: a KeyboardInterrupt, so that everything is cleaned up
    as after Ctrl-C.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    _occupy_standard_files()
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal cannot show must not stop the job.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with _signals():
            status = options.command(options)
            if sys.stdout is not None:  # as it is when the shell has closed it (>&-)
                sys.stdout.flush()
            return status  # type: ignore[no-any-return]
    except BrokenPipeError:  # the reader of our output (head, less) has gone; what it wanted it has
        _drop_output()
        return 1
    except Stopped as stop:
        return _failed(f"stopped by {stop}", 128 + stop.number)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except OSError as error:
        if error.filename is None:  # of a print: such as a full disk behind a redirection
            _drop_output()
        return _failed(
            f"{error.filename}: {error.strerror}"
            if error.filename and error.strerror
            else str(error),
            1,
        )
    except MemoryError as error:
        return _failed(f"not enough memory{f': {error}' if str(error) else ''}", 1)
    except FloatingPointError as error:
        return _failed(str(error), 1)
    except (ValueError, TypeError) as error:
        return _failed(str(error), 2)


def _occupy_standard_files() -> None:
    """Open /dev/null in the place of standard files that the shell has closed, or the next file
    that is opened would be written to by whatever prints.
    """
    with contextlib.suppress(OSError):
        while (file := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(file)


def _drop_output() -> None:
    """Let what is not yet printed go, or the flush at exit would complain once more."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _failed(message: str, status: int) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print("fastinit: error:", message.replace("\n", " "), file=sys.stderr)
    return status


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the job as Ctrl-C does, unless the caller has set them otherwise
    (nohup does).
    """

    def stop(number: int, _: Any) -> None:
        raise Stopped(number)

    changed = []
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, stop)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


# --------------------------------------------------------------------------------- the command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastinit",
        description="Initial weights of neural networks: fast, and the same bits on every machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.set_defaults(command=lambda _: _help(parser))
    commands = parser.add_subparsers(metavar="COMMAND")

    text = "draw a whole model into a safetensors file or a folder that from_pretrained loads"
    one = commands.add_parser("materialize", help=text, description=text)
    one.add_argument(
        "spec",
        metavar="SPEC",
        help="a preset (see: fastinit presets), a .toml or .json file, or a Hugging Face model's "
        "folder or config.json",
    )
    one.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="NAME.safetensors: one file; a folder: model.safetensors or shards, and config.json",
    )
    one.add_argument(
        "--seed",
        type=_seed,
        help="an integer in [0, 2**64); without one a seed is drawn, and printed",
    )
    one.add_argument(
        "--dtype",
        help="in place of the spec's dtype; tensors and rules that name their own keep it",
    )
    one.add_argument(
        "--recipe",
        metavar="FILE",
        help="a .toml or .json file of rules; what they match is drawn as they say",
    )
    _add_threads(one)
    one.add_argument(
        "--shard-size",
        type=_size,
        metavar="SIZE",
        help="of a folder: the most bytes of tensors in a file, such as 500MB; 5GB unless given",
    )
    one.add_argument(
        "--rank",
        type=_whole,
        help="of a folder: write only this rank's files; the default is what torchrun, SLURM or "
        "MPI say",
    )
    one.add_argument("--world-size", type=_whole, help="the number of ranks")
    one.add_argument(
        "--resume",
        action="store_true",
        help="check what an interrupted run left, keep it, and write what is missing",
    )
    one.add_argument(
        "--dry-run", action="store_true", help="print what would be drawn, and write nothing"
    )
    one.add_argument("--force", action="store_true", help="replace existing files")
    one.set_defaults(command=_materialize)

    text = "draw a checkpoint again and compare: exit status 0 if every tensor is its initial draw"
    one = commands.add_parser("verify", help=text, description=text)
    one.add_argument("path", metavar="PATH", help="a safetensors file, or a folder of them")
    one.add_argument(
        "--spec",
        help="what the tensors should be (a preset, or a .toml or .json file); the default is what "
        "the files say",
    )
    one.add_argument("--recipe", metavar="FILE", help="rules that change the spec")
    one.add_argument("--seed", type=_seed, help="the default is the files' own")
    one.add_argument("--dtype", help="in place of the spec's dtype")
    one.add_argument(
        "--sample",
        type=_share,
        metavar="P",
        help="compare about this share of the bytes, in (0, 1]",
    )
    _add_threads(one)
    one.set_defaults(command=_verify)

    text = "write the spec of a model's config, of a checkpoint or of a preset as TOML"
    one = commands.add_parser("spec", help=text, description=text)
    one.add_argument(
        "source",
        metavar="SOURCE",
        help="a model's folder or config.json, a checkpoint of fastinit, or a spec",
    )
    one.add_argument("--dtype", help="in place of the source's dtype")
    one.set_defaults(command=_spec)

    text = "list the specs that come with fastinit, or print one to copy and change"
    one = commands.add_parser("presets", help=text, description=text)
    one.add_argument("name", metavar="NAME", nargs="?")
    one.set_defaults(command=_presets)

    text = "say what an initializer does for a shape: formula, fans, std or bounds, stream"
    options = "[--name NAME] [--seed SEED] [--dtype DTYPE]"
    usage = f"fastinit explain INITIALIZER [SIZE ...] [ARGUMENT=VALUE ...] {options}"
    one = commands.add_parser("explain", help=text, description=text, usage=usage)
    one.add_argument("initializer", metavar="INITIALIZER")
    one.add_argument(
        "words", metavar="SIZE", nargs="*", help="the shape, then arguments such as mode=fan_out"
    )
    one.add_argument("--name", help="the tensor's name")
    one.add_argument("--seed", type=_seed)
    one.add_argument("--dtype", default="float32")
    one.set_defaults(command=_explain)

    text = (
        "draw how a signal fares with depth under several initializers, before any training "
        "(needs matplotlib)"
    )
    one = commands.add_parser("picture", help=text, description=text)
    one.add_argument("file", metavar="FILE", help="the image to write; its suffix says which kind")
    one.set_defaults(command=_picture)

    text = (
        "compare what a GPU draws with what the host draws, bit for bit, in every draw, dtype and "
        "stride, and time it"
    )
    one = commands.add_parser("selftest", help=text, description=text)
    one.add_argument(
        "--cuda", action="store_true", required=True, help="test NVIDIA GPUs (extra cuda)"
    )
    one.add_argument("--device", type=_whole, default=0, metavar="N", help="which GPU (default: 0)")
    one.set_defaults(command=_selftest)

    text = "show the version, the engine, the instruction set and the threads in use"
    one = commands.add_parser("info", help=text, description=text)
    one.set_defaults(command=_info)
    return parser


def _help(parser: argparse.ArgumentParser) -> int:
    print(parser.format_help(), end="")
    return 0


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print("fastinit", fi.info()["version"])
        parser.exit()


def _add_threads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threads", type=_whole, help="the default is all CPUs that this process may use"
    )


def _seed(text: str) -> int:
    try:
        seed = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        seed = -1
    if not 0 <= seed < 1 << 64:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not an integer in [0, 2**64)")
    return seed


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a whole number below 10**18")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a share in (0, 1]")
    return share


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}I": 1 << 10 * power for power, unit in enumerate("KMGT", 1)}


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,18})([KMGT]?I?)B?", text.upper())
    size = int(found.group(1)) * _UNITS.get(found.group(2), 0) if found else 0
    if not size:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a size of at least 1 byte, such as 500MB, 5GB or 2GiB"
        )
    return size


# ------------------------------------------------------------------------------------- the commands


def _materialize(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    threads = _engine.thread_count(options.threads)
    output = None if options.output is None else _target(options.output)
    if output is None and not options.dry_run:
        raise ValueError(
            "the option -o PATH is missing: NAME.safetensors or a folder to write (or give "
            "--dry-run)"
        )
    folder = output is not None and checkpoint.is_folder(output)
    if not folder and output is not None and (options.shard_size or options.world_size):
        raise ValueError(
            f"-o {output} is one file; --shard-size, --rank and --world-size are for a folder"
        )
    rank, world_size = _ranks(options) if folder else (0, 1)
    seed = options.seed
    if seed is None and output is not None and options.resume:
        seed = checkpoint.seed_of(output)
    if seed is None and world_size > 1:
        raise ValueError(
            f"{world_size} ranks and no seed: each would draw another; give all of them the same "
            "--seed"
        )
    size = options.shard_size or (checkpoint.SHARD_SIZE if folder else None)
    spec = checkpoint.load(options.spec, options.dtype, recipe=options.recipe)
    plan = checkpoint.plan(spec, seed, shard_size=size)
    if options.dry_run:
        _print_plan(plan)
        return 0
    total = sum(file.size for file in plan.files[rank::world_size])
    with _progress(total) as progress:
        report = checkpoint.materialize(
            plan,
            str(output),
            threads=threads,
            force=options.force,
            resume=options.resume,
            rank=rank,
            world_size=world_size,
            progress=progress,
        )
    counts = (
        f"{report.tensors} tensors, {report.values} values, {report.size} bytes, seed {report.seed}"
    )
    engine = f"{_engine.name()} engine, {_engine.isa()}, {threads} thread{'s' * (threads > 1)}"
    print(f"{report.path}: {counts}, {time.perf_counter() - began:.2f} s ({engine})")
    if folder or report.kept:
        _print_files(report, rank, world_size)
    if folder and "config.json" not in plan.others:
        print("no config.json was written: the spec has no table [config]")
    return 0


def _print_files(report: checkpoint.Report, rank: int, world_size: int) -> None:
    who = f"rank {rank} of {world_size}: " if world_size > 1 else ""
    print(f"{who}wrote {', '.join(report.written) or 'nothing'}")
    if report.kept:
        print(f"{who}kept, equal byte for byte: {', '.join(report.kept)}")
    if report.missing:
        print(
            f"{who}not complete yet: {len(report.missing)} files of other ranks are missing, such "
            f"as {report.missing[0]}; the rank that finds all of them writes the index"
        )


def _target(text: str) -> str:
    """The path of -o: a file ends in .safetensors or is there already; anything else is a folder,
    and gets a separator at its end.
    """
    if checkpoint.is_folder(text) or os.path.exists(text):
        return text
    suffix = os.path.splitext(text)[1]
    if suffix.lower() == ".safetensors":
        return text
    if re.fullmatch(r"\.[A-Za-z]\w*", suffix):  # not "Llama-3.2-1B" or "run.1"
        raise ValueError(
            f"-o {text:.200}: no {suffix} file is written; give NAME.safetensors for one file, or "
            f"a folder (a new one with such a name ends in {os.sep})"
        )
    return text + os.sep


# Of the launchers, (rank, number of ranks) of a process.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


def _ranks(options: argparse.Namespace) -> tuple[int, int]:
    """The rank and the number of ranks: of the options, else of a launcher, else 0 of 1."""
    given = options.rank, options.world_size
    source = "--rank and --world-size"
    if given == (None, None):
        for names in _LAUNCHERS:
            if all(name in os.environ for name in names):
                source = " and ".join(names)
                try:
                    given = tuple(_whole(os.environ[name]) for name in names)  # type: ignore[assignment]
                except argparse.ArgumentTypeError as error:
                    raise ValueError(f"{source}: {error}") from None
                break
        else:
            return 0, 1
    rank, world_size = given
    if rank is None or world_size is None:
        raise ValueError("--rank and --world-size belong together; give both")
    if not rank < world_size:
        raise ValueError(f"{source} are {rank} and {world_size}; a rank is below the world size")
    return rank, world_size


def _verify(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    threads = _engine.thread_count(options.threads)
    total = sum(
        tensor.end - tensor.begin
        for file in checkpoint.files(options.path)
        for tensor in file.layout.tensors
    )
    spec = options.spec
    if options.recipe is not None:
        if spec is None:
            raise ValueError("--recipe changes a spec, and none is given; give --spec too")
        spec = checkpoint.load(spec, options.dtype, recipe=options.recipe)
    with _progress(total) as progress:
        found = checkpoint.verify(
            options.path,
            spec,
            seed=options.seed,
            dtype=None if options.recipe else options.dtype,
            sample=options.sample,
            threads=threads,
            progress=progress,
        )
    for tensor in found.tensors:
        print(tensor)
    for name in found.missing:
        print(f"{name}: missing")
    equal = sum(map(bool, found.tensors))
    print(
        f"{found.path}: {equal} of {len(found.tensors) + len(found.missing)} tensors are their "
        f"initial draw, seed {found.seed}; {found.size} bytes compared, "
        f"{time.perf_counter() - began:.2f} s"
    )
    return 0 if found else 1


@contextlib.contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # 30 ms: not for those who see no bar

    tqdm.monitor_interval = 0  # no thread of its own
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield bar.update


def _print_plan(plan: checkpoint.Plan) -> None:
    rows = [("tensor", "shape", "dtype", "initializer", "values", "bytes")]
    entries = {entry.name: entry for entry in plan.spec.entries}
    largest = 0
    for file in plan.files:
        for tensor, rule in zip(file.layout.tensors, file.rules, strict=True):
            shape = "×".join(map(str, tensor.shape)) or "()"
            if not isinstance(rule, (Draw, checkpoint.Patched)):
                largest = max(largest, tensor.end - tensor.begin)
            rows.append(
                (
                    tensor.name,
                    shape,
                    tensor.dtype.name,
                    entries[tensor.name].initializer,
                    _described(rule, tensor.dtype),
                    str(tensor.end - tensor.begin),
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for *words, size in rows:
        padded = [word.ljust(width) for word, width in zip(words, widths, strict=False)]
        print(*padded, size.rjust(widths[-1]), sep="  ")
    if len(plan.files) > 1:
        for file in plan.files:
            print(f"{file.name}: {len(file.layout.tensors)} tensors, {file.size} bytes")
    if largest:
        print(f"tensors that are drawn whole need memory: {largest} bytes for the largest")
    files = "file takes" if len(plan.files) == 1 else f"{len(plan.files)} files take"
    print(
        f"{plan.tensors} tensors, {plan.values} values; the {files} {plan.size} bytes; "
        "nothing was written"
    )


def _described(rule: Any, dtype: DType) -> str:
    """The numbers of a draw, short; `fastinit explain` has them in full."""
    if isinstance(rule, checkpoint.Patched):
        return f"{_described(rule.draw, dtype)}, with constants over parts"
    if not isinstance(rule, Draw):
        return "drawn whole"
    numbers = rule.numbers()
    if rule.draw == CONSTANT:
        return f"{decode(numbers['bits'], dtype):g}"
    if rule.draw == UNIFORM:
        return f"in [{numbers['low']:.6g}, {numbers['low'] + numbers['span']:.6g})"
    mean, std = numbers["mean"], numbers["std"]
    cut = ", truncated" if rule.draw == TRUNCATED_NORMAL else ""
    return (f"mean {mean:.6g}, " if mean else "") + f"std {std:.6g}{cut}"


def _spec(options: argparse.Namespace) -> int:
    """A checkpoint by its files' metadata, anything else by what describes it."""
    source = options.source
    folder = os.path.isdir(source)
    if source.endswith(".safetensors") or (
        folder and any(name.endswith(".safetensors") for name in os.listdir(source))
    ):
        if options.dtype is not None:
            raise ValueError("--dtype is for a config or a spec; a checkpoint has its dtypes")
        print(checkpoint.describe(checkpoint.spec_of(source)), end="")
    else:
        print(checkpoint.describe(checkpoint.load(source, options.dtype)), end="")
    return 0


def _presets(options: argparse.Namespace) -> int:
    if options.name is None:
        print(*checkpoint.presets(), sep="\n")
    else:
        print(checkpoint.preset(options.name), end="")
    return 0


def _explain(options: argparse.Namespace) -> int:
    shape: list[int] = []
    arguments: dict[str, Any] = {}
    for word in options.words:
        key, equals, value = word.partition("=")
        if equals:
            if len(key) > 80:
                raise ValueError(f"no initializer has an argument {shown(key)}")
            arguments[key] = _value(value)
        elif word.isascii() and word.isdigit():
            if len(word) > 19:
                raise ValueError(f"the size {shown(word)} is more than any tensor can have")
            shape.append(int(word))
        else:
            raise ValueError(f"{shown(word)} is neither a size nor ARGUMENT=VALUE")
    for option in ("name", "seed", "dtype"):
        if option in arguments:
            value = f"{arguments[option]!s:.80}"
            raise ValueError(f"give --{option} {value} in place of {option}={value}")
    common = {"name": options.name, "seed": options.seed, "dtype": options.dtype}
    print(fi.explain(options.initializer, tuple(shape), **common, **arguments))
    return 0


def _value(text: str) -> Any:
    """A number, an expression, true, false, several of them with commas, or text."""
    if "," in text:
        return tuple(_value(part) for part in text.split(",") if part)
    if text in ("true", "false"):
        return text == "true"
    if text.isidentifier() and text != "inf":
        return text
    try:
        return evaluate(text, {})
    except LookupError as error:
        raise ValueError(
            f"unknown name {shown(error.args[0])} in {shown(text)}: here an expression holds only "
            "numbers"
        ) from None


def _picture(options: argparse.Namespace) -> int:
    from .diagnostics import picture

    try:
        picture(options.file)
    except ImportError as error:
        return _failed(str(error), 1)
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from ._core import engine
    from ._cuda import device, selftest
    from ._cuda.program import Unavailable

    try:
        gpu = device.device(options.device, engine.run)
    except Unavailable as error:
        return _failed(str(error), 1)
    if gpu.missing is not None:
        return _failed(gpu.missing, 1)
    print(f"{gpu.name}, {gpu.architecture}, against {engine.name()} {engine.isa()}")
    bad = len(gpu.refused)
    for name in sorted(gpu.refused):
        print(f"{name}: refused, it does not answer as the host does")
    for result in selftest.run(gpu, engine.run):
        bad += result.difference is not None
        name = result.name.replace("_", " ")
        print(f"{name}: {result.difference or 'equal bits'} ({result.seconds:.1f} s)", flush=True)
    for row in selftest.speed(gpu):
        rate = row.values / row.milliseconds / 1e6
        print(f"{row.draw} {row.dtype}: {row.milliseconds:.3f} ms, {rate:.0f} G values/s")
    print("all bits are equal" if not bad else f"{bad} checks failed")
    return int(bad > 0)


def _info(_: argparse.Namespace) -> int:
    for key, value in fi.info().items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, (tuple, list)) else value}")
    return 0
