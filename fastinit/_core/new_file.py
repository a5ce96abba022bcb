"""NewFile: a file that appears complete or not at all; and checks of its target.

The caller writes the bytes, in any order and from any thread.  This module does not interpret them.
../checkpoint/write.py fills files with weights.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import threading
import time
from functools import partial
from typing import Any

from .arguments import path_text
from .signals import undisturbed


def check_target(path: str | os.PathLike[str], force: bool = False) -> str:
    """Return the real path that a new file at `path` would get.

    Raises `OSError` if no file may be written there.
    """
    # A symbolic link is followed, as open(path, "w") would.
    target = os.path.realpath(path_text(path))
    folder = os.path.dirname(target)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = 0
    except NotADirectoryError:
        raise NotADirectoryError(
            errno.ENOTDIR, "a part of this path is a file, not a folder", folder
        ) from None
    if not os.path.basename(target) or stat.S_ISDIR(mode):
        raise IsADirectoryError(
            errno.EISDIR, "is a folder; give the path of a file", path_text(path)
        )
    if mode and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is not a regular file; give the path of one", path_text(path))
    if mode and not force:
        raise FileExistsError(
            errno.EEXIST, "exists; give --force (force=True) to replace it", path_text(path)
        )
    if not is_folder(folder):
        raise FileNotFoundError(errno.ENOENT, "no such folder; make it first", folder)
    return target


def is_folder(path: str) -> bool:
    """Whether the folder exists.  Unlike os.path.isdir() it raises if the folder cannot be checked:
    it may exist.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return False
        raise


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a report or a figure and replace an existing file: completely or not at all."""
    with NewFile(path, len(content), force=True) as new:
        new.write(0, content)
        new.commit()


def _temporary_prefix(base: str) -> str:
    """The start of the temporary names of a target: hidden, readable, and short in bytes.

    Names may have 255 bytes on most file systems and 143 on some encrypted ones.
    """
    return f".{os.fsencode(base)[:80].decode('utf-8', 'ignore')}."


def clear_temporaries(target: str) -> None:
    """Remove the temporaries that earlier writers of `target` left when they were killed.

    A running writer holds a lock on its temporary (_lock), so its file is left in place.
    """
    folder, base = os.path.split(target)
    pattern = re.compile(re.escape(_temporary_prefix(base)) + "[0-9a-f]{16}[.]tmp")
    try:
        names = [name for name in os.listdir(folder) if pattern.fullmatch(name)]
    except OSError:
        return  # the folder is writable but cannot be listed
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            file = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | _FLAGS)
            try:
                # Without locks (Windows) an open file cannot be removed, but a writer closes its
                # file before renaming it.  Leave recent files in place for that moment.
                alive = not _lock(file) if _locks() else time.time() - os.fstat(file).st_mtime < 60
            finally:
                if os.name == "nt":
                    os.close(file)
            try:
                if not alive:
                    os.unlink(path)
            finally:
                if os.name != "nt":
                    os.close(file)  # the lock lasts until the name is gone


_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def _locks() -> bool:
    return os.name == "posix"


def _lock(file: int) -> bool:
    """Lock a file that this process writes; False if another process has it, or if the file system
    keeps no locks.
    """
    if not _locks():
        return True
    import fcntl  # POSIX only

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# Whole pages bypass the system's cache (O_DIRECT): finding memory for the cache takes longer than
# drawing.  Measured on two busy CPUs, 512 MiB to an ext4 disk: 0.2 s of CPU time instead of
# 1.2 s, and 0.7 to 1.4 GB/s instead of 0.1.
PAGE = 1 << 12  # bytes; a multiple of every device's block
_DIRECT = 1 << 16  # below this many bytes the cache is as fast


def _open_direct(file: int) -> int:
    """Open a file a second time, for writes that bypass the cache; -1 if that is not possible."""
    if not hasattr(os, "O_DIRECT"):
        return -1
    try:
        # Open it through its descriptor, because it may have no name.
        return os.open(f"/proc/self/fd/{file}", os.O_WRONLY | os.O_DIRECT | _FLAGS)
    except OSError:
        return -1


# Errors of link() for a nameless file if the file system or a sandbox does not allow it.
_NO_LINK = {
    errno.EPERM,
    errno.EACCES,
    errno.EXDEV,
    errno.ENOENT,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
}


class NewFile:
    """A file of known size that appears at `path` complete, by commit(), or not at all.

    Before commit() it has no name if the system supports that (Linux: even kill -9 leaves nothing
    behind).  Otherwise it has a hidden name beside the target, and the next writer of the same
    target removes it.  Without `force`, a file that appears at `path` meanwhile is not overwritten.
    """

    def __init__(self, path: str | os.PathLike[str], size: int, force: bool = False):
        self.path = path_text(path)
        self.size, self.force = size, force
        self._target = check_target(path, force)
        self._folder, base = os.path.split(self._target)
        name = f"{_temporary_prefix(base)}{os.urandom(8).hex()}.tmp"
        self._temporary = os.path.join(self._folder, name)
        self._file = self._direct = -1
        self._named = False
        self._lock = threading.Lock()

    def __enter__(self) -> NewFile:
        try:
            clear_temporaries(self._target)
            # Otherwise an interrupt could lose the number of an open file, whose bytes would then
            # stay on the disk, without a name, as long as the process lives.
            undisturbed(self._open)
            self._reserve()
        except BaseException as error:
            undisturbed(self._discard)
            raise self._explained(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        undisturbed(self._discard)

    def _open(self) -> None:
        self._file = self._open_unnamed()
        while self._file < 0:
            # Set first, so that an interrupt between the two lines still unlinks the file.  Nobody
            # else's file can have this name, which holds 64 random bits.
            self._named = True
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS
            self._file = os.open(self._temporary, flags, 0o666)
            _lock(self._file)
            if os.name == "posix" and not os.fstat(self._file).st_nlink:
                # Another run removed it as abandoned before it was locked: create it again.
                os.close(self._file)
                self._file = -1
        if hasattr(os, "fchmod"):
            # A replaced file keeps its permissions, as with open(path, "w").
            with contextlib.suppress(OSError):
                os.fchmod(self._file, stat.S_IMODE(os.stat(self._target).st_mode))
        self._direct = _open_direct(self._file)

    def _open_unnamed(self) -> int:
        """Open a file without a name, or return -1 if it could not get a name at the end.

        This is tested with an empty file, before anything is drawn.
        """
        if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
            return -1
        flags = os.O_RDWR | os.O_TMPFILE | _FLAGS
        try:
            probe = os.open(self._folder, flags, 0o666)
        except OSError:
            return -1  # not every file system supports it; the named path reports errors
        try:
            self._named = True
            self._link(probe, self._temporary)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return -1
        finally:
            os.close(probe)
        os.unlink(self._temporary)
        self._named = False
        file = os.open(self._folder, flags, 0o666)
        _lock(file)  # it has a temporary name between link and rename
        return file

    def _link(self, file: int, path: str) -> None:
        """Give an open file without a name one in the target's folder."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Only with a folder's descriptor does os.link() follow the link in /proc (man 2 open).
            source = f"/proc/self/fd/{file}"
            os.link(source, os.path.basename(path), dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def _reserve(self) -> None:
        """Reserve disk space for the file, or raise if there is not enough, before anything is
        drawn.
        """
        if hasattr(os, "posix_fallocate") and not _is_memory(self._file):
            try:
                os.posix_fallocate(self._file, 0, self.size)
                return
            except OSError as error:
                if error.errno not in (
                    errno.EOPNOTSUPP,
                    errno.ENOTSUP,
                    errno.EINVAL,
                    errno.ENOSYS,
                    errno.ENODEV,
                ):
                    raise
        if free(self._folder) < self.size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.truncate(self._file, self.size)

    @property
    def waits(self) -> bool:
        """Whether a writer waits for the device rather than for a copy into the system's cache; if
        so, more writers than CPUs are useful.
        """
        return self._direct >= 0

    def write(self, offset: int, data: Any) -> None:
        """Write the bytes of a buffer at `offset`; safe from any thread."""
        view = memoryview(data).cast("B")
        try:
            if self._direct >= 0 and len(view) >= _DIRECT:
                head = -offset % PAGE
                body = (len(view) - head) // PAGE * PAGE
                self._write_all(view[:head], offset)
                self._write_direct(view[head : head + body], offset + head)
                self._write_all(view[head + body :], offset + head + body)
            else:
                self._write_all(view, offset)
        except OSError as error:
            raise self._explained(error) from None

    def _write_direct(self, view: memoryview, offset: int) -> None:
        """Write whole pages past the cache, or through the cache if the file system or the buffer's
        address does not allow that.
        """
        while view:
            try:
                written = os.pwrite(self._direct, view, offset)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break
            offset += written
            view = view[written:]
            if written % PAGE:
                break
        self._write_all(view, offset)

    def _write_all(self, view: memoryview, offset: int) -> None:
        while view:
            written = self._write_some(view, offset)
            offset += written
            view = view[written:]

    def _write_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file, view, offset)  # releases the GIL
        with self._lock:  # Windows: one file position, so one writer at a time
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.write(self._file, view)

    def sync(self) -> None:
        """Flush the bytes to the disk after the last write.  commit() does this too."""
        direct, self._direct = self._direct, -1
        try:
            if direct >= 0:
                os.close(direct)
            self._sync()
        except OSError as error:
            raise self._explained(error) from None

    def commit(self) -> None:
        """Flush the bytes to the disk, then give the file its name."""
        try:
            self._sync()
            undisturbed(self._publish)
            self._named = False
        except OSError as error:
            raise self._explained(error) from None
        finally:
            undisturbed(self._discard)
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise OSError(
                error.errno,
                "the file is written and in place, but its folder could not be synced "
                f"({error.strerror}): a power failure now might lose its name",
                self.path,
            ) from None

    def _sync(self) -> None:
        os.fsync(self._file)
        if hasattr(os, "O_TMPFILE") or os.name != "posix":
            return
        import fcntl  # POSIX only

        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is not None:  # macOS: fsync() alone leaves the bytes in the drive's cache
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._file, full)

    def _publish(self) -> None:
        if not self._named:
            if not self.force:
                self._link(self._file, self._target)
                return
            self._named = True
            self._link(self._file, self._temporary)
        if os.name == "nt":  # cannot rename an open file; elsewhere keep the lock until the end
            file, self._file = self._file, -1
            os.close(file)
        if self.force:
            os.replace(self._temporary, self._target)
            return
        try:
            # Unlike a rename, link() fails if the target has appeared meanwhile.
            os.link(self._temporary, self._target)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here (FAT, some network file systems): take the name first, then
            # replace it.
            os.close(os.open(self._target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(self._temporary, self._target)
            return
        os.unlink(self._temporary)

    def _discard(self) -> None:
        file, self._file = self._file, -1
        direct, self._direct = self._direct, -1
        try:
            if direct >= 0:
                with contextlib.suppress(OSError):
                    os.close(direct)
            if self._named and os.name == "posix":
                # Do this under the lock, so that no other run removes the file as abandoned.
                with contextlib.suppress(OSError):
                    os.unlink(self._temporary)
        finally:
            if file >= 0:
                os.close(file)
            if self._named and os.name != "posix":
                with contextlib.suppress(OSError):
                    os.unlink(self._temporary)
            self._named = False

    def _explained(self, error: BaseException) -> BaseException:
        """Return the error with the user's path in place of the temporary's and, for a full disk,
        with numbers.
        """
        if not isinstance(error, OSError) or error.errno is None:
            return error
        text = os.strerror(error.errno)
        if error.errno == errno.ENOSPC:
            text = no_space(self.size, self._folder)
        elif error.errno == errno.EFBIG:
            text += f": {self.size} bytes are needed (see ulimit -f, and the file system's limit)"
        elif error.errno == errno.EEXIST:
            text = (
                "appeared while its content was drawn, and was left alone; give --force "
                "(force=True) to replace it"
            )
        return OSError(error.errno, text, self.path)


def _is_memory(file: int) -> bool:
    """Whether a file lies in memory (tmpfs).  Reserving its pages takes as long as writing zeros,
    and one thread does it while the others wait.  Without a reservation, pages are allocated when
    they are written.
    """
    device = os.fstat(file).st_dev
    place = f" {os.major(device)}:{os.minor(device)} ".encode()
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            return any(place in line and b" - tmpfs " in line for line in mounts)
    except OSError:
        return False  # not Linux


def free(folder: str) -> int:
    """The bytes that may be written into a folder."""
    import shutil  # on demand: takes 8 ms, not needed for a file on a disk

    return shutil.disk_usage(folder).free


def no_space(size: int, folder: str) -> str:
    """The error message for a full disk, with numbers."""
    return f"{os.strerror(errno.ENOSPC)}: {size} bytes are needed, {free(folder)} are free"


def sync_folder(folder: str) -> None:
    """Flush a folder's names to the disk, if the system stores folders on one."""
    if os.name == "posix":
        undisturbed(partial(_sync_folder, folder))


def _sync_folder(folder: str) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that keep no folders on a disk
            raise
    finally:
        os.close(file)
