"""What tests of loading leave as it was."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def same_imports_afterwards() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("weighbridge_user", "its_", "broker.its_")):
            del sys.modules[name]
