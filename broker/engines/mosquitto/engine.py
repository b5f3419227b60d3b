"""The engine that keeps a Mosquitto running and is its client.

Mosquitto acknowledges a device from memory and writes its store now and then: its PUBACK says that
Mosquitto has the task, and the node's `accepted` that it is stored. What the node has acknowledged to
Mosquitto is in the journal; what it has not is sent again when Mosquitto is back.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import structlog

from broker.client import ClientSettings
from broker.contract.address import Address
from broker.contract.engine import Engine, Known, Receiver
from broker.contract.message import Message
from broker.contract.refusal import Taken
from broker.engines.external import ExternalEngine
from broker.engines.mosquitto.access import MosquittoAccess
from broker.engines.mosquitto.configuration import MosquittoSettings, configuration
from broker.engines.mosquitto.drops import DROPPED, Drops
from broker.engines.mosquitto.dynamic_security import CONTROL
from broker.engines.mosquitto.log import MosquittoLog
from broker.engines.ports import cannot_listen, open_ports
from broker.engines.sole_gateway import SoleGateway
from broker.errors import EngineError, EngineUnavailable, SettingsError
from broker.namesakes import Namesakes
from broker.programs.pid_file import PidFile
from broker.programs.processes import ProgramSpec, Supervisor
from broker.programs.sockets import prepare_folder
from broker.security.certificates import ServerTls, TlsFiles
from broker.security.users import write_private

log = structlog.get_logger()

START_TIMEOUT = 10.0
"""Seconds within which the node has to be connected to a Mosquitto that it has started."""

STOP_TIMEOUT = 30.0
"""Seconds that it gets to write down what it holds for sessions: that may be much, on an SD card."""

LOOK_INTERVAL = 0.5
"""Seconds between looks at the files of users and certificates."""

INSTALL_HINT = (
    "no mosquitto was found. Install it (Debian, Ubuntu, Raspberry Pi OS: apt install mosquitto; Fedora: dnf"
    " install mosquitto; macOS: brew install mosquitto), or use the broker inside the node: --engine embedded"
)

_SYSTEM_FOLDERS = os.pathsep.join(("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"))
"""Where packages put Mosquitto that only root has in its PATH."""


_PLUGIN_PATTERNS = tuple(
    f"{folder}/mosquitto_dynamic_security.so"
    for folder in ("usr/lib/*", "usr/lib", "usr/lib64", "usr/local/lib*", "opt/homebrew/lib")
)
"""Where packages put the plugin, as patterns below /."""


class MosquittoEngine(Engine):
    """A broker of the node's own, in another process. It is started again whenever it ends."""

    def __init__(
        self,
        settings: MosquittoSettings,
        *,
        node: str,
        pid_file: PidFile,
        will: Message | None = None,
        access: MosquittoAccess | None = None,
        namesakes: Namesakes | None = None,
        sole: SoleGateway | None = None,
    ) -> None:
        self._settings = settings
        self._pid_file = pid_file
        self._access = access
        self._log = MosquittoLog()
        self._drops = Drops()
        self._tasks: list[asyncio.Task[None]] = []
        self._give: Callable[[bytes], None] = lambda _: None
        login = "" if access is None else f"{quote(access.owner, safe='')}:{access.password}@"
        url = f"mqtt+unix://{login}{quote(str(settings.socket))}"
        # The window is the node's own: as many tasks may wait for the journal as devices have outstanding.
        client = ClientSettings(
            client_id=f"fog-node-{node}" if access is None else _secret_client_id(settings.folder, node),
            live=True,
            will=will,
            inflight=1_000,
            queued=100_000,
        )
        self._client = ExternalEngine(
            url,
            node=node,
            settings=client,
            connect_timeout=START_TIMEOUT,
            namesakes=namesakes,
            sole=sole,
            known=settings.folder / "filters.json",
        )

    async def start(self, receiver: Receiver, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        executable = find_mosquitto()
        folder = self._settings.folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._settings = replace(
                self._settings,
                folder=folder.absolute(),
                listen=_with_port(self._settings.listen),
                websocket=_with_port(self._settings.websocket),
                listen_tls=_with_port(self._settings.listen_tls),
                websocket_tls=_with_port(self._settings.websocket_tls),
            )
            if self._settings.listen_tls or self._settings.websocket_tls:
                _check_tls(self._settings.tls)
            if self._access is not None:
                self._settings = replace(self._settings, plugin=_find_plugin())
                self._access.write(self._settings.passwords, self._settings.rules)
            file = folder / "mosquitto.conf"
            file.write_text(configuration(self._settings), "utf-8")
            prepare_folder(self._settings.socket)
            self._settings.socket.unlink(missing_ok=True)
        except OSError as fault:
            raise EngineError(f"Mosquitto's folder {folder} cannot be used: {fault}") from fault
        program = ProgramSpec(
            name="mosquitto",
            command=[executable, "-c", str(file.absolute())],
            on_lines=self._log.take,
            stop=signal.SIGINT,
            stop_timeout=STOP_TIMEOUT,
        )
        supervisor = Supervisor(program, self._pid_file)
        # It saves at once that the node has subscribed: started anew after a crash it then keeps for the
        # node what devices publish before the node is back.
        self._client.client.on_up = partial(supervisor.signal, signal.SIGUSR1)
        self._tasks.append(asyncio.create_task(supervisor.run(), name="mosquitto"))
        if self._access is not None:
            receiver = partial(_identified, self._access, receiver)
            self._give = partial(self._give_access, self._access, supervisor)
            watch = self._keep_up(self._access)
            self._tasks.append(asyncio.create_task(watch, name="mosquitto-access"))
        await self._client.start(partial(self._sort, receiver), (*filters, DROPPED), retained)

    async def hear(self, filters: Sequence[str], retained: Sequence[str] = ()) -> None:
        await self._client.hear((*filters, DROPPED), retained)

    async def pause(self) -> None:
        await self._client.pause()

    async def stop(self) -> None:
        await self._client.stop()
        tasks, self._tasks = self._tasks, []
        # The watch first: it must not signal a program that is being ended.
        for task in reversed(tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def publish(self, message: Message) -> asyncio.Future[None] | None:
        return self._client.publish(message)

    def reread(self) -> None:
        if self._access is not None:
            self._give(self._access.reread())

    def known(self) -> Known:
        return {} if self._access is None else self._access.known()

    @property
    def url(self) -> str:
        plain = self._settings.listen or self._settings.websocket
        secured = self._settings.listen_tls or self._settings.websocket_tls
        return f"mqtts://{secured}" if plain is None else f"mqtt://{plain}"

    @property
    def echoes(self) -> bool:
        return True

    @property
    def connected(self) -> bool:
        return self._client.connected

    @property
    def denied(self) -> int:
        return self._log.denied

    @property
    def trouble(self) -> tuple[str, ...]:
        files = () if self._access is None else self._access.trouble
        return (*files, *self._client.trouble, *self._drops.trouble(time.monotonic()))

    def _sort(self, receiver: Receiver, message: Message) -> Taken:
        if message.topic != DROPPED:
            return receiver(message)
        self._drops.hear(message.payload, time.monotonic())
        return None

    async def _keep_up(self, access: MosquittoAccess) -> None:
        """Give Mosquitto the users and certificates as they are now, whenever their files have changed."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            commands = access.refresh()
            if commands is None:
                continue
            try:
                self._give(commands)
            except SettingsError as fault:
                log.error("access_not_written", reason=str(fault), next_step="Mosquitto keeps what it has")

    def _give_access(self, access: MosquittoAccess, supervisor: Supervisor, commands: bytes) -> None:
        """Give Mosquitto the users and certificates that are known. Raises SettingsError."""
        access.write(self._settings.passwords, self._settings.rules)
        # It reads passwords and certificates again, and closes the connections that are no longer right.
        supervisor.signal(signal.SIGHUP)
        if commands and self._client.connected:
            # One that is away reads the rules when it is back.
            with contextlib.suppress(EngineUnavailable):
                self._client.publish(Message(topic=CONTROL, payload=commands, qos=1))


def _secret_client_id(folder: Path, node: str) -> str:
    """The node's client identifier, the same in each life. Raises EngineError.

    Mosquitto gives a session to whoever names its identifier, whatever the user: a device that knew the
    node's would push the node off.
    """
    file = folder / "client-id"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(file, f"fog-node-{node}-{secrets.token_hex(16)}")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError, SettingsError) as fault:
        raise EngineError(f"Mosquitto's folder {folder} cannot be used: {fault}") from fault


def find_mosquitto() -> str:
    """Find the program. Raises EngineError."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_FOLDERS)
    if found is None:
        raise EngineError(INSTALL_HINT)
    return found


def _check_tls(files: TlsFiles) -> None:
    """Raises SettingsError for files of which Mosquitto would only say that it cannot use them."""
    ServerTls(files)
    for path in filter(None, (files.cert, files.key, files.ca)):
        if str(path).endswith(" "):
            raise SettingsError(
                f"the name of {str(path)!r} ends with a blank, which Mosquitto would leave out"
            )


def _find_plugin() -> Path:
    """Find the plugin that keeps the access rules. Raises EngineError."""
    for pattern in _PLUGIN_PATTERNS:
        found = next(Path("/").glob(pattern), None)
        if found is not None:
            return found
    raise EngineError(
        "--users with --engine mosquitto needs mosquitto_dynamic_security.so, which comes with Mosquitto 2.0"
        " and later, and it was not found; install your system's package, or use --engine embedded"
    )


def _identified(access: MosquittoAccess, receiver: Receiver, message: Message) -> Taken:
    return receiver(access.identified(message))


def _with_port(address: Address | None) -> Address | None:
    """Choose a free port where port 0 asks for one, and see that any other is free.

    Mosquitto could not tell which it took, and tells only its log that it got none.
    """
    if address is None:
        return None
    try:
        opened = open_ports(address, backlog=1)
    except OSError as fault:
        raise EngineError(cannot_listen(address, fault)) from fault
    host, port, *_ = opened[0].getsockname()
    for one in opened:
        one.close()
    # A machine without ::1 has one of localhost's addresses; Mosquitto does not start without the other.
    return Address(host if len(opened) < len(address.hosts) else address.host, port)
