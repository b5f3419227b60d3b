"""A package, so that a `tests` that a library installs by mistake (gmqtt does) does not take its place."""
