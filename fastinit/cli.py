"""The command `fastinit`: materialize, presets, explain, picture, info.

This file and __main__.py alone print and exit.  Exit status: 0 done; 1 it could not be done (file,
disk, memory); 2 the command line or the spec is wrong; 130, 143, 129 stopped by Ctrl-C, SIGTERM,
SIGHUP.  Errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import fastinit as fi

from . import checkpoint
from ._core import engine as _engine
from ._core.draws import Draw
from ._core.dtypes import CONSTANT, NORMAL, UNIFORM, DType, decode
from .checkpoint.expressions import evaluate

EPILOG = """examples:
  fastinit materialize gpt2 -o gpt2.safetensors --seed 0
  fastinit materialize model.toml -o model.safetensors --dtype bfloat16 --dry-run
  fastinit presets gpt2 > model.toml
  fastinit explain he_normal 3072 768 mode=fan_out --name mlp.up.weight
"""


class Stopped(KeyboardInterrupt):
    """A signal that asks the program to end; a KeyboardInterrupt, so that all that cleans up after
    Ctrl-C does so.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # a name that the terminal cannot show must not stop the job
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with _signals():
            status = options.command(options)
            sys.stdout.flush()
            return status  # type: ignore[no-any-return]
    except BrokenPipeError:  # the reader of our output (head, less) has gone; what it wanted it has
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # or the flush at exit would complain
        return 1
    except Stopped as stop:
        return _failed(f"stopped by {stop}", 128 + stop.number)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except OSError as error:
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


def _failed(message: str, status: int) -> int:
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
        description="Neural-network weights filled at memory speed, with the same bits everywhere.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    text = "draw a whole model into a new safetensors file, which appears whole or not at all"
    one = commands.add_parser("materialize", help=text, description=text)
    one.add_argument(
        "spec", metavar="SPEC", help="a preset (see: fastinit presets), or a .toml or .json file"
    )
    one.add_argument("-o", "--output", metavar="FILE", help="the file to write")
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
        "--threads", type=int, help="the default is all CPUs that this process may use"
    )
    one.add_argument(
        "--dry-run", action="store_true", help="print what would be drawn, and write nothing"
    )
    one.add_argument("--force", action="store_true", help="replace an existing file")
    one.set_defaults(command=_materialize)

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

    text = "show the version, the engine, the instruction set and the threads in use"
    one = commands.add_parser("info", help=text, description=text)
    one.set_defaults(command=_info)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print("fastinit", fi.info()["version"])
        parser.exit()


def _seed(text: str) -> int:
    try:
        seed = int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        seed = -1
    if not 0 <= seed < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer in [0, 2**64)")
    return seed


# ------------------------------------------------------------------------------------- the commands


def _materialize(options: argparse.Namespace) -> int:
    began = time.perf_counter()
    threads = _engine.thread_count(options.threads)
    if options.dry_run:
        _print_plan(checkpoint.plan(options.spec, options.seed, options.dtype))
        return 0
    if options.output is None:
        raise ValueError("the option -o FILE is missing: the file to write (or give --dry-run)")
    plan = checkpoint.plan(options.spec, options.seed, options.dtype)
    with _progress(plan.layout.size) as progress:
        report = checkpoint.materialize(
            plan, options.output, threads=threads, force=options.force, progress=progress
        )
    counts = (
        f"{report.tensors} tensors, {report.values} values, {report.size} bytes, seed {report.seed}"
    )
    engine = f"{_engine.name()} engine, {_engine.isa()}, {threads} thread{'s' * (threads > 1)}"
    print(f"{report.path}: {counts}, {time.perf_counter() - began:.2f} s ({engine})")
    return 0


@contextlib.contextmanager
def _progress(size: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # 30 ms: not for those who see no bar

    tqdm.monitor_interval = 0  # no thread of its own
    with tqdm(total=size, unit="B", unit_scale=True, leave=False, file=sys.stderr) as bar:
        yield bar.update


def _print_plan(plan: checkpoint.Plan) -> None:
    rows = [("tensor", "shape", "dtype", "initializer", "values", "bytes")]
    entries = {entry.name: entry for entry in plan.spec.entries}
    for tensor, rule in zip(plan.layout.tensors, plan.rules, strict=True):
        shape = "×".join(map(str, tensor.shape)) or "()"
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
    values = sum(
        (tensor.end - tensor.begin) // tensor.dtype.itemsize for tensor in plan.layout.tensors
    )
    print(
        f"{len(rows) - 1} tensors, {values} values; the file takes {plan.layout.size} bytes; "
        "nothing was written"
    )


def _described(rule: Any, dtype: DType) -> str:
    """The numbers of a draw, short; `fastinit explain` has them in full."""
    if not isinstance(rule, Draw):
        return "drawn whole"
    numbers = rule.parameters
    if rule.draw == CONSTANT:
        return f"{decode(numbers[0], dtype):g}"
    if rule.draw == UNIFORM:
        return f"in [{numbers[0]:.6g}, {numbers[0] + numbers[1]:.6g})"
    mean, std = numbers[:2] if rule.draw == NORMAL else numbers[1:3]
    return (
        (f"mean {mean:.6g}, " if mean else "")
        + f"std {std:.6g}"
        + ("" if rule.draw == NORMAL else ", truncated")
    )


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
            arguments[key] = _value(value)
        elif word.isascii() and word.isdigit():
            shape.append(int(word))
        else:
            raise ValueError(f"{word!r} is neither a size nor ARGUMENT=VALUE")
    for option in ("name", "seed", "dtype"):
        if option in arguments:
            raise ValueError(
                f"give --{option} {arguments[option]} in place of {option}={arguments[option]}"
            )
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
            f"unknown name {error.args[0]!r} in {text!r}: here an expression holds only numbers"
        ) from None


def _picture(options: argparse.Namespace) -> int:
    from .diagnostics import picture

    try:
        picture(options.file)
    except ImportError as error:
        return _failed(str(error), 1)
    return 0


def _info(_: argparse.Namespace) -> int:
    for key, value in fi.info().items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, (tuple, list)) else value}")
    return 0
