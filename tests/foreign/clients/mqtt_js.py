"""MQTT.js in Node, the client of web pages, Node-RED and Homebridge: `converse.js` holds the conversation."""

import asyncio
import os
import shutil

import msgspec
import pytest

from tests.foreign.conversation import TIMEOUT, Conversation, Heard
from tests.support.programs import REPOSITORY

FOLDER = REPOSITORY / "tests" / "foreign" / "mqtt_js"


def require() -> None:
    """Skip the test without Node or MQTT.js; fail it where everything has to be there."""
    missing = None
    if shutil.which("node") is None:
        missing = "node is not installed (Debian: apt install nodejs npm)"
    elif not (FOLDER / "node_modules" / "mqtt").is_dir():
        missing = f"MQTT.js is not installed (npm ci --prefix {FOLDER.relative_to(REPOSITORY)})"
    if missing is None:
        return
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


async def converse(conversation: Conversation) -> Heard:
    """Hold it in a process of Node's."""
    require()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "node", FOLDER / "converse.js", stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate(msgspec.json.encode(conversation))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return msgspec.json.decode(out, type=Heard)
