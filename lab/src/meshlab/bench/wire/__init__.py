"""Bytes of protocols that both ends of the bench share: its clients and its echo server."""
