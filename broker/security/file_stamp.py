"""Whether a file has changed since it was last read."""

from pathlib import Path

FileStamp = tuple[int, int, int]


def file_stamp(path: Path | None) -> FileStamp | None:
    """What is another one as soon as a file has other contents; None without a file that can be looked at.

    Size and inode count beside the time: a file may be written twice within one tick of the file system's
    clock, and one that was moved into the place of another brings its own time along.
    """
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return status and (status.st_mtime_ns, status.st_size, status.st_ino)
