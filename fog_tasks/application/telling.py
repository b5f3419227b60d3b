"""Tells the node, in one frame, what has gathered while the last one was on its way."""

import os
import socket
import threading

from fog_tasks.application.orders import Word, frame


class Telling:
    """Takes words from any thread; one thread runs `run`.

    What waits is bounded by the tasks that are with the application: each has an end, and few steps.
    """

    def __init__(self, node: socket.socket) -> None:
        self._node = node
        self._words: list[Word] = []
        self._said = threading.Condition()

    def say(self, word: Word) -> None:
        """Have a word told soon."""
        with self._said:
            self._words.append(word)
            self._said.notify()

    def run(self) -> None:
        """Tell until the node is gone; this program ends with it."""
        while True:
            with self._said:
                self._said.wait_for(lambda: self._words)
                words, self._words = self._words, []
            try:
                self._node.sendall(frame(words))
            except OSError:
                os._exit(0)
