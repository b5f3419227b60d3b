"""The client library for devices."""
