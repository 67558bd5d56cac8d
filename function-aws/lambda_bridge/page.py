"""The page: what the function answers with nothing configured."""

from __future__ import annotations

from lambda_bridge.answer import Answer

__all__ = ["hello_page"]

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Hello World!</title>
    <style>body { margin: 0; font: 700 3em sans-serif; text-align: center }</style>
  </head>
  <body>
    <p>Hello World from Lambda</p>
  </body>
</html>
"""


def hello_page() -> Answer:
    """Return the page."""
    return Answer(200, _PAGE, "text/html; charset=utf-8")
