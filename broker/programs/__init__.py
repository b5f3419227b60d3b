"""What every program needs: settings, logs, child processes."""
