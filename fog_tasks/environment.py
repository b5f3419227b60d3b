"""What a node tells the programs that it starts, in one environment variable of each."""

import os
from typing import ClassVar, Self

import msgspec


class InEnvironment:
    """Base of settings, frozen dataclasses, that travel as JSON in the environment variable `VARIABLE`.

    Not as arguments, which every user of the machine can read: URLs may hold passwords.
    """

    VARIABLE: ClassVar[str]

    @classmethod
    def of_environment(cls) -> Self:
        """What `environment` was made of."""
        return msgspec.json.decode(os.environ[cls.VARIABLE], type=cls)

    def environment(self) -> dict[str, str]:
        """The environment that tells it to a program."""
        return {self.VARIABLE: msgspec.json.encode(self).decode()}
