"""The version of Weighbridge, as the package's metadata has it: the one place is pyproject.toml."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The installed version, or `unknown` in a tree that is not installed."""
    try:
        return version("weighbridge")
    except PackageNotFoundError:
        return "unknown"
