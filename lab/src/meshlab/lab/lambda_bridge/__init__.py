"""Two meshes at once, each with an authority of its own, and a Lambda function behind the second one.

`certificates` runs the project's own command for the authority between them, `secrets` delivers its files to proxies as
they change, `joined` makes one bench of two meshes, `run` starts it all.
"""
