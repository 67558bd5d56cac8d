"""HTTP/1.1 over sockets: messages, connections and connection pools, blocking and for asyncio."""
