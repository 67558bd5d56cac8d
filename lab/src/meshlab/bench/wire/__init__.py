"""Bytes of protocols that both ends of the bench share: its probes and its echo server."""
