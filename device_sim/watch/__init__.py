"""`device-sim watch`: what a node is told and tells, on the terminal."""
