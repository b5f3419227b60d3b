"""`python -m device_sim` and the `device-sim` command."""

from device_sim.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
