"""A node that stores what it is handed when a test says so."""

import asyncio

from broker.contract.message import Message


class StoringNode:
    """Takes messages, and stores each when the test says so."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.futures: list[asyncio.Future[None]] = []

    def __call__(self, message: Message) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.messages.append(message)
        self.futures.append(future)
        return future

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]
