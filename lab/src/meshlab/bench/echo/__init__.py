"""Server that answers in place of the applications, external hosts and external authorizers of a run.

One process serves all of them: every port of the table speaks HTTP/1.1, HTTP/2, TLS and bare TCP, whichever its client
begins with. It reports which application a port belongs to and records what it received, one JSON line per request.
"""
