"""`python -m docs.site`: build the site; `--serve` also shows it on this machine."""

from __future__ import annotations

import argparse
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from docs.site.build import SITE, SiteError, build


def main() -> None:
    """Build the site, and serve it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m docs.site", description="Build the documentation site.")
    parser.add_argument("--serve", action="store_true", help="serve it on 127.0.0.1 until Ctrl-C")
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="the port of --serve; 0 takes a free one"
    )
    options = parser.parse_args()
    try:
        build()
    except SiteError as error:
        sys.exit(f"docs: the site was not built.\n{error}")
    print(f"docs: {SITE}/index.html")  # noqa: T201 - the result of the command
    if options.serve:
        _serve(options.port)


def _serve(port: int) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"docs: http://127.0.0.1:{server.server_port}/ until Ctrl-C")  # noqa: T201
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
