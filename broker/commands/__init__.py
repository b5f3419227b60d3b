"""The commands of `fog-broker` beside serving: users and certificates."""
