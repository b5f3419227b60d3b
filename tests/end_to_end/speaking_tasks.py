"""Tasks that have something to say, in every way there is."""

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from celery.utils.log import get_task_logger

from weighbridge import task

print("while it is imported")


@task
def speaking(stop: str, word: str) -> str:
    """Say a word in every way, then wait until a file is there."""
    print(f"print {word}")
    print(f"stderr {word}", file=sys.stderr)
    sys.stdout.buffer.write(f"bytes {word}\n".encode())
    logging.info("info %s", word)  # noqa: LOG015 - as people write it
    logging.getLogger("a.library").debug("debug %s", word)
    get_task_logger(__name__).info("celery %s", word)
    thread = threading.Thread(target=print, args=(f"thread {word}",))
    thread.start()
    thread.join()
    os.write(1, f"C code {word}\n".encode())
    subprocess.run(["/bin/sh", "-c", f"echo program {word}; echo its stderr {word} >&2"], check=True)
    while not Path(stop).exists():
        time.sleep(0.01)
    print(f"unfinished {word}", end="")
    return word


@task
def crashing(word: str) -> None:
    """Say a word, and die of what C code does."""
    os.write(2, f"last words {word}".encode())
    os.abort()


@task
def flooding() -> None:
    """Have a program write 3 MB, which is more than any pipe holds."""
    subprocess.run(["/bin/sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x | fold -w 10000"], check=True)
