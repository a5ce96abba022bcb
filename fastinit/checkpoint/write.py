"""Write a plan's files: check existing files, write the missing ones, and write the index last.

Each file appears whole or not at all (../_core/new_file.py).  So a folder only contains whole
files, even after an interrupted call.  The files are a checkpoint only once the index exists.
Ranks share nothing but the folder: each writes its files, and a rank that finds all of them writes
the index.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from .._core import new_file, safetensors
from .._core.arguments import path_text, shown
from .._core.new_file import NewFile
from ..typing import PathLike
from . import header, index, verify
from .draw import draw_file
from .index import INDEX
from .plan import File, Plan

Names = tuple[str, ...]


class Writing(NamedTuple):
    """One call of materialize()."""

    plan: Plan
    threads: int
    force: bool
    resume: bool
    progress: Callable[[int], None]


# ----------------------------------------------------------------------------------------- one file


def file(job: Writing, path: PathLike) -> tuple[Names, Names]:
    """Write a plan's only file to `path`.  Returns the names of files written and files kept."""
    name = path_text(path)
    [planned] = job.plan.files
    if job.resume and os.path.lexists(name) and _is_whole(job, planned, name):
        return (), (os.path.basename(name),)
    _write(job, planned, name)
    return (os.path.basename(name),), ()


def _write(job: Writing, planned: File, path: str) -> None:
    # An existing file has been checked already: with resume, it differs from the planned one.
    with NewFile(path, planned.size, job.force) as new:
        _draw(job, planned, new)
        new.commit()


def _draw(job: Writing, planned: File, new: NewFile) -> None:
    new.write(0, planned.layout.header)
    job.progress(len(planned.layout.header))

    def take(begin: int, data: object) -> None:
        new.write(begin, data)
        job.progress(memoryview(data).nbytes)  # type: ignore[arg-type]

    draw_file(planned, job.plan.seed, job.threads, take, waits=new.waits)


def _is_whole(job: Writing, planned: File, path: str) -> bool:
    """Whether an existing file equals the planned one, byte for byte.

    If it does not, the result is False where the file may be replaced (--force), and else an error.
    """
    wrong = _other_header(job.plan, planned, path)
    if not wrong:
        job.progress(len(planned.layout.header))
        for checked in verify.check_file(path, planned, job.plan.seed, job.threads, job.progress):
            if not checked:
                wrong = f"holds other bytes than this call would write: {checked}"
                break
    if wrong and not job.force:
        raise FileExistsError(errno.EEXIST, f"{wrong}; give --force to replace it", path)
    return not wrong


def _other_header(plan: Plan, planned: File, path: str) -> str:
    """Describe how an existing file differs from the planned one.  Empty if it has the planned
    header and size.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        return "is not a regular file"
    with open(path, "rb") as stream:
        header = stream.read(len(planned.layout.header))
        size = os.fstat(stream.fileno()).st_size
    if header == planned.layout.header and size == planned.size:
        return ""
    try:
        found = index.files(path)[0]
    except ValueError as error:
        return f"is not what this call would write: {error}"
    wanted = safetensors.metadata_of(planned.layout)
    for key in ("fastinit.stream_version", "fastinit.seed"):
        if found.metadata.get(key) != wanted[key]:
            what = key.removeprefix("fastinit.").replace("_", " ")
            there = found.metadata.get(key)
            return (
                f"has no {what} in its metadata, where this call has {wanted[key]}"
                if there is None
                else f"was made with {what} {shown(there)}, and this call has {wanted[key]}"
            )
    here = {tensor.name: (tensor.dtype.name, tensor.shape) for tensor in found.layout.tensors}
    for tensor in planned.layout.tensors:
        there_is, ours = here.get(tensor.name), (tensor.dtype.name, tensor.shape)
        if there_is is not None and there_is != ours:
            return (
                f"has tensor {shown(tensor.name)} as {there_is[0]} {there_is[1]}, and this call as "
                f"{ours[0]} {ours[1]}"
            )
    return (
        f"belongs to another plan (digest {found.metadata.get('fastinit.digest', 'none')}, and "
        f"this call's is {plan.digest}): another spec or shard size"
    )


def seed_of(path: PathLike) -> int | None:
    """The seed of the files that an earlier call left.

    Parameters
    ----------
    path : str or path
        A target of materialize().

    Returns
    -------
    int or None
        None if there are no such files.
    """
    name = path_text(path)
    names = [name]
    if new_file.is_folder(name):
        there = sorted(os.listdir(name))
        names = [os.path.join(name, one) for one in there if one.endswith(".safetensors")]
    for one in names:
        if os.path.isfile(one):
            with contextlib.suppress(ValueError):
                return header.seed_of(index.files(one)[0])
    return None


# ----------------------------------------------------------------------------------------- a folder


def folder(job: Writing, path: PathLike, rank: int, world: int) -> tuple[Names, Names, Names]:
    """Write the files of a rank into a folder.

    If all other ranks' files exist, also write the index and the other files that complete the
    folder.  Returns the names of the files written, kept, and missing.
    """
    name = os.path.normpath(path_text(path))
    made = _make(name)
    try:
        return _fill(job, name, rank, world)
    except BaseException:
        if made and world == 1:
            with contextlib.suppress(OSError):
                os.rmdir(name)  # only if it is empty
        raise


def _make(name: str) -> bool:
    """Make a folder if it does not exist.  Returns whether it was made."""
    try:
        os.mkdir(name)
    except FileExistsError:
        if not new_file.is_folder(name):
            raise NotADirectoryError(
                errno.ENOTDIR, "exists and is a file, not a folder", name
            ) from None
        return False
    except FileNotFoundError:
        parent = os.path.dirname(os.path.abspath(name))
        raise FileNotFoundError(errno.ENOENT, "no such folder; make it first", parent) from None
    new_file.sync_folder(os.path.dirname(os.path.abspath(name)))
    return True


def _fill(job: Writing, name: str, rank: int, world: int) -> tuple[Names, Names, Names]:
    _check_folder(job, name, world)
    for one in (*(planned.name for planned in job.plan.files), *job.plan.others):
        # Also for existing files: a kill between link() and unlink() leaves both names.
        new_file.clear_temporaries(os.path.join(os.path.realpath(name), one))
    kept, todo = [], []
    for planned in job.plan.files[rank::world]:
        target = os.path.join(name, planned.name)
        if os.path.lexists(target):
            if job.resume and _is_whole(job, planned, target):
                kept.append(planned.name)
                continue
            if not job.force:
                raise FileExistsError(
                    errno.EEXIST,
                    "exists; give --resume to go on with it, or --force to replace it",
                    target,
                )
        todo.append(planned)
    _check_space(sum(planned.size for planned in todo), name)
    if job.force and os.path.lexists(os.path.join(name, INDEX)):
        _replace(job, todo, name)
    else:
        for planned in todo:
            _write(job, planned, os.path.join(name, planned.name))
    written = [planned.name for planned in todo]
    missing = [planned.name for planned in job.plan.files if not _is_there(job, planned, name)]
    if not missing:
        for other, content in job.plan.others.items():
            target = os.path.join(name, other)
            if _content(target) == content:
                kept.append(other)
                continue
            # Another rank may write the same bytes at the same moment.
            with NewFile(target, len(content), job.force or world > 1) as new:
                new.write(0, content)
                new.commit()
            written.append(other)
    return tuple(written), tuple(kept), tuple(missing)


def _replace(job: Writing, todo: list[File], name: str) -> None:
    """Replace files of a complete checkpoint.  All new files are drawn before any old one changes.

    Then the old index is removed, because it would describe a mixture of old and new files.  Then
    the new files get their names.  Until the old index is removed, the folder is the old
    checkpoint.  After that, it has no index until the new checkpoint is complete.
    """
    _check_descriptors(len(todo), name)
    with contextlib.ExitStack() as stack:
        drawn = []
        for planned in todo:
            path = os.path.join(name, planned.name)
            new = stack.enter_context(NewFile(path, planned.size, force=True))
            _draw(job, planned, new)
            new.sync()
            drawn.append(new)
        if drawn:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(name, INDEX))
            new_file.sync_folder(name)
        for new in drawn:
            new.commit()


def _check_descriptors(count: int, name: str) -> None:
    """Raise an error before anything is drawn, if so many files cannot be open at once."""
    if os.name != "posix":
        return
    import resource  # POSIX only

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and count + _OTHER_FILES > allowed:
        raise OSError(
            errno.EMFILE,
            f"{count} files are to be replaced together, and this process may have {allowed} open "
            "(ulimit -n); raise that, give a larger --shard-size, or remove the old checkpoint",
            name,
        )


_OTHER_FILES = 50  # files that the process may have open for other purposes


def _check_folder(job: Writing, name: str, world: int) -> None:
    """Before anything is written, refuse a folder with weights of another checkpoint."""
    planned = {one.name for one in job.plan.files} | set(job.plan.others) | {INDEX}
    for there in sorted(os.listdir(name)):
        target = os.path.join(name, there)
        if there not in planned and _is_weights(there):
            raise FileExistsError(
                errno.EEXIST,
                f"is not of this checkpoint, whose files are {_some(job.plan)}; give a folder "
                "without other weights, or move it away",
                target,
            )
    if (job.resume or world > 1) and not job.force:
        for one in job.plan.files:
            target = os.path.join(name, one.name)
            wrong = os.path.lexists(target) and _other_header(job.plan, one, target)
            if wrong:
                raise FileExistsError(errno.EEXIST, f"{wrong}; give --force to replace it", target)
    for other in {INDEX: b"", **job.plan.others} if not job.force else ():
        target = os.path.join(name, other)
        if os.path.lexists(target) and _content(target) != job.plan.others.get(other):
            raise FileExistsError(
                errno.EEXIST,
                "exists with other content than this call would write; give --force to replace it",
                target,
            )


def _is_weights(name: str) -> bool:
    ending = os.path.splitext(name)[1].lower()
    return (
        ending == ".safetensors" or ending in index.PICKLES or name.endswith(".index.json")
    ) and not name.startswith(".")


def _some(plan: Plan) -> str:
    return plan.files[0].name + (f" … {plan.files[-1].name}" if len(plan.files) > 1 else "")


def _is_there(job: Writing, planned: File, name: str) -> bool:
    target = os.path.join(name, planned.name)
    return os.path.lexists(target) and not _other_header(job.plan, planned, target)


def _content(path: str) -> bytes | None:
    """The bytes of a small regular file, or None if there is no such file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as stream:
            return stream.read(safetensors.HEADER_LIMIT + 1)
    except FileNotFoundError:
        return None


def _check_space(size: int, name: str) -> None:
    """Raise an error before anything is written, if the disk does not have room for the files."""
    if new_file.free(name) < size:
        raise OSError(errno.ENOSPC, new_file.no_space(size, name), name)
