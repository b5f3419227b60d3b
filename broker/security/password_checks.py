"""Checks passwords beside the event loop: a few at a time, and each address in its turn."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from broker.contract.identity import Role
from broker.security.users import User, is_password, make_user

PER_ADDRESS = 64
"""Checks that wait for one address; a further one is refused at once."""

ALL_WAITING = 4_096
"""Checks that wait in all. The last of so many would wait longer than a connection has to log in (10 s)."""

CHECKERS = 2
"""Passwords checked at once; each takes a core and 19 MiB."""

_Check = tuple[asyncio.Future[bool], "User | None", bytes]


class PasswordChecks:
    """Answers whether a password is a user's.

    A check takes tens of milliseconds of a core. They are done in threads, and the addresses that have
    some waiting take turns, so that a flood of wrong passwords from one place holds up nobody elsewhere. A
    password that was right before is known again by a keyed digest that never leaves the process.
    """

    def __init__(self, verify: Callable[[str, bytes], bool] = is_password) -> None:
        self._verify = verify
        self._key = secrets.token_bytes(32)
        self._known: dict[str, tuple[str, bytes]] = {}
        self._waiting: OrderedDict[str, deque[_Check]] = OrderedDict()
        self._count = 0
        self._busy = 0
        self._threads = ThreadPoolExecutor(CHECKERS, thread_name_prefix="passwords")
        # For users that do not exist: their refusal takes as long as any other.
        self._nobody = make_user("nobody", Role.DEVICE, secrets.token_hex(16)).password_hash

    def check(self, user: User | None, password: bytes, address: str) -> bool | asyncio.Future[bool]:
        """Tell whether a password is the user's, at once or later; False at once where too many wait."""
        if user is not None and self._known.get(user.name) == (
            user.password_hash,
            self._digest(user, password),
        ):
            return True
        queue = self._waiting.get(address)
        if self._count >= ALL_WAITING or (queue is not None and len(queue) >= PER_ADDRESS):
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append((answer, user, password))
        self._count += 1
        self._proceed()
        return answer

    def close(self) -> None:
        """Let go of the threads; what waits is answered no."""
        for queue in self._waiting.values():
            for answer, _, _ in queue:
                if not answer.done():
                    answer.set_result(False)
        self._waiting.clear()
        self._count = 0
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _proceed(self) -> None:
        while self._busy < CHECKERS and self._waiting:
            address, queue = self._waiting.popitem(last=False)
            answer, user, password = queue.popleft()
            if queue:
                self._waiting[address] = queue
            self._count -= 1
            # Who has left meanwhile need not be checked.
            if not answer.done():
                self._start(answer, user, password)

    def _start(self, answer: asyncio.Future[bool], user: User | None, password: bytes) -> None:
        self._busy += 1
        password_hash = self._nobody if user is None else user.password_hash
        checking = asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password_hash, password
        )

        def checked(done: asyncio.Future[bool]) -> None:
            self._busy -= 1
            right = not done.cancelled() and done.exception() is None and done.result() and user is not None
            if right and user is not None:
                self._known[user.name] = (user.password_hash, self._digest(user, password))
            if not answer.done():
                answer.set_result(right)
            self._proceed()

        checking.add_done_callback(checked)

    def _digest(self, user: User, password: bytes) -> bytes:
        return hashlib.blake2b(user.name.encode() + b"\0" + password, key=self._key).digest()
