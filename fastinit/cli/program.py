"""The program: it handles commands, help, signals, standard files and the exit status.

Exit status: 0 success; 1 failure (file, disk, memory, a missing package), or a check found a
difference; 2 an error in the command line or the spec; 130, 143, 129 stopped by Ctrl-C, SIGTERM,
SIGHUP.  An error is one line on stderr.

A command is the module of the same name in this package.  The module defines SUMMARY (its line in
the help, at most 60 characters), EXAMPLE (lines for the command's help), add_options(parser) and
run(options), which returns the exit status.  Every start of the program imports all commands.  So
an import that takes more than a millisecond must be inside run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from .._core.arguments import nearest, shown
from ..info import VERSION
from . import (
    audit,
    compare,
    completion,
    coordcheck,
    drift,
    dummy,
    explain,
    info,
    inspect,
    laws,
    materialize,
    presets,
    selftest,
    spec,
    verify,
)
from .output import Failed

# In the order of the help.  The help must fit in a terminal of 24 lines by 80 columns.
GROUPS: dict[str, tuple[ModuleType, ...]] = {
    "make": (materialize, dummy, spec, presets),
    "look": (explain, inspect, drift, laws, compare, info),
    "check": (verify, audit, coordcheck, selftest),
}


class Stopped(KeyboardInterrupt):
    """A signal that asks the program to end.

    It is a KeyboardInterrupt, so that the program cleans up as it does after Ctrl-C.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit status."""
    _occupy_standard_files()
    for stream in (sys.stdout, sys.stderr):
        # Without this, a name that the terminal cannot show would stop the job.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _signals():
            try:
                options = _parse(sys.argv[1:] if arguments is None else arguments)
            finally:
                _flush()  # the help and the version, which argparse prints
            status = options.run(options)
            _flush()
            return status  # type: ignore[no-any-return]
    except BrokenPipeError:  # the reader of the output (head, less) has exited
        _drop_output()
        return 1
    except Stopped as stop:
        return _fail(f"stopped by {stop}", 128 + stop.number)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        where = error.filename
        if where is None:  # raised by a print, for example on a full disk
            where = None if _flushes() else "standard output"
            _drop_output()
        named = where and error.strerror
        return _fail(f"{_short(where)}: {error.strerror}" if named else str(error), 1)
    except MemoryError as error:
        return _fail(f"not enough memory{f': {error}' if str(error) else ''}", 1)
    except (Failed, ImportError, FloatingPointError) as error:
        return _fail(str(error), 1)
    except (ValueError, TypeError) as error:
        return _fail(str(error), 2)


def _occupy_standard_files() -> None:
    """Open /dev/null for standard files that the shell has closed.

    Otherwise the next opened file would get the number of a standard file, and print would write
    into it.
    """
    with contextlib.suppress(OSError):
        while (file := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(file)


def _flush() -> None:
    if sys.stdout is not None:  # None if the shell has closed it (>&-)
        sys.stdout.flush()


def _flushes() -> bool:
    """Whether pending output can be written; what a failed print has left, fails again."""
    try:
        _flush()
    except OSError:
        return False
    return True


def _drop_output() -> None:
    """Discard pending output.  Otherwise the flush at exit would raise the error again."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _short(path: Any) -> str:
    """The path in an error message.  A long path is cut to its start and end."""
    text = str(path)
    return text if len(text) <= 200 else f"{text[:60]}…{text[-120:]}"


def _fail(message: str, status: int) -> int:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print("fastinit: error:", message.replace("\n", " "), file=sys.stderr)
    return status


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the job as Ctrl-C does.

    A signal whose handling the caller has changed, as nohup does, is not changed.
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


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fastinit",
        usage="fastinit COMMAND ...  (or --help, --version, --print-completion SHELL)",
        description=_overview(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    parser.add_argument(
        "--version", action="version", version=f"fastinit {VERSION}", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--print-completion", choices=completion.SHELLS, metavar="SHELL", help=argparse.SUPPRESS
    )

    def alone(options: argparse.Namespace) -> int:
        shell = options.print_completion
        print(completion.script(parser, shell) if shell else parser.format_help(), end="")
        return 0

    parser.set_defaults(run=alone)
    commands = parser.add_subparsers(prog="fastinit", metavar="COMMAND", help=argparse.SUPPRESS)
    for module in (module for group in GROUPS.values() for module in group):
        one = commands.add_parser(
            _name(module),
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_options(one)
        one.set_defaults(run=module.run, command=_name(module))
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands.choices:
        hint = nearest(arguments[0], commands.choices) or "give one of " + ", ".join(
            commands.choices
        )
        parser.error(f"there is no command {shown(arguments[0])}; {hint}")
    options, rest = parser.parse_known_args(arguments)
    if rest:
        one = commands.choices.get(getattr(options, "command", ""), parser)
        known = [flag for action in one._actions for flag in action.option_strings]
        hint = nearest(rest[0], known) or f"see {one.prog} --help"
        one.error(f"there is no option or further argument {shown(rest[0])}; {hint}")
    return options


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _overview() -> str:
    """The help text below the usage: all commands, by group."""
    lines = ["Initial weights of neural networks: fast, and the same bits on every machine.", ""]
    for group, modules in GROUPS.items():
        for number, module in enumerate(modules):
            heading = "" if number else group
            lines.append(f"{heading:6}{_name(module):13}{module.SUMMARY}")
    lines += [
        "",
        "example: fastinit materialize gpt2 -o weights --seed 0",
        "fastinit COMMAND --help shows the options of a command and an example.",
    ]
    return "\n".join(lines)
