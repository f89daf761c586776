"""Files and folders of results: all or nothing, and one process at a time."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
from collections.abc import Iterator
from typing import Any

from ..errors import DataError, RanefError

__all__ = ["Lock", "check_not_input", "whole_file"]

#: Names who holds a folder; it exists while the folder is held.
HOLDER = "held-by.txt"


@contextlib.contextmanager
def whole_file(path: Any) -> Iterator[str]:
    """Return a temporary name to write to; it is renamed when all is written, else removed.

    Raises
    ------
    RanefError
        If it cannot be written, as on a full disk.
    """
    target = os.fspath(path)
    ending = os.path.splitext(target)[1]
    partial = f"{target}.{os.getpid()}.partial{ending}"
    try:
        yield partial
        if os.path.exists(partial):
            os.replace(partial, target)
    except OSError as error:
        raise RanefError(
            f"{target!r} cannot be written: {error}. No partial file is left; free some space, or "
            "choose another place"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(partial)


def check_not_input(path: Any, data: Any, argument: str) -> None:
    """Refuse to overwrite the input data.

    Raises
    ------
    DataError
        If the file is the one that holds the data, or one of several.
    """
    if not isinstance(data, str | os.PathLike):
        return
    source, target = os.fspath(data), os.path.realpath(os.fspath(path))
    found = glob.glob(source, recursive=True) or [source]
    inside = any(
        os.path.isdir(f) and target.startswith(os.path.join(os.path.realpath(f), "")) for f in found
    )
    if inside or target in {os.path.realpath(f) for f in found}:
        raise DataError(
            f"{argument}={os.fspath(path)!r} is among the data that are read ({source!r}); use "
            "another name, so that they are not overwritten"
        )


class Lock:
    """Hold on a folder that ends with the process, whatever becomes of it.

    Parameters
    ----------
    folder : str
        A folder that is there.

    Raises
    ------
    DataError
        If another run holds it; the message says which process, and where.
    """

    def __init__(self, folder: str):
        self._holder = os.path.join(folder, HOLDER)
        self._handle: int | None = None
        try:
            import fcntl
        except ImportError:  # not on this system
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise DataError(
                f"out={folder!r} is being written by {self._read()}; wait for it, stop it, or give "
                "another folder"
            ) from None
        except OSError:  # a file system without locks
            os.close(handle)
            return
        self._handle = handle
        with contextlib.suppress(OSError), open(self._holder, "w", encoding="utf-8") as stream:
            stream.write(f"process {os.getpid()} on {socket.gethostname()}")

    def _read(self) -> str:
        """State who holds the folder."""
        with contextlib.suppress(OSError), open(self._holder, encoding="utf-8") as stream:
            return stream.read() or "another process"
        return "another process"

    def __del__(self) -> None:
        self.release()

    def release(self) -> None:
        """Release the folder; a second call does nothing."""
        handle = getattr(self, "_handle", None)
        if handle is None:
            return
        with contextlib.suppress(OSError):
            os.remove(self._holder)
        os.close(handle)
        self._handle = None
