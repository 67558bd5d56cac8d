"""Roll-out of a function: its command, its order, its subscription and who may call it."""
