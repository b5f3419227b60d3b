"""Whether a file has changed since it was last read, and the sentence for one that cannot be used since."""

from pathlib import Path

FileStamp = tuple[int, int, int, int]


def file_stamp(path: Path | None) -> FileStamp | None:
    """What is another one as soon as a file has other contents; None without a file that can be looked at.

    Size and inode count beside the time: a file may be written twice within one tick of the file system's
    clock, and one that was moved into the place of another brings its own time along. So does the time of
    another mode or owner: that may be all that it takes to mend a file.
    """
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def unusable(*files: Path | None) -> str:
    """The sentence of it in a node's state, which many may read: of what is in the files it tells nothing."""
    names = ", ".join(dict.fromkeys(path.name for path in files if path is not None))
    return f"{names} cannot be used as it is now: what was read before stays in force; the log says why"
