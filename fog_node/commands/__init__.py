"""The commands of `fog-node` beside serving: dead letters and a look inside."""
