"""The way of a message, whichever driver received it: to rows, a dead letter or a retry."""
