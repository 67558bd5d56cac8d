"""gcloud's own modules of the commands that a deployment runs; gcloud's Python imports it before the first of them.

gcloud loads the module of a command when it reads the command's words, so each is read once. Nothing is run.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys

_LIBRARY = os.environ["GCLOUD_LIBRARY"]
sys.path[:0] = [_LIBRARY, f"{_LIBRARY}/third_party"]

from googlecloudsdk import gcloud_main  # noqa: E402

_COMMANDS = (
    "version",
    "functions deploy f --gen2",
    "functions describe f --gen2",
    "functions add-invoker-policy-binding f --member=user:a@example.com",
    "run services describe s --region=r",
    "run services get-iam-policy s --region=r",
    "run services add-iam-policy-binding s --region=r --member=user:a@example.com --role=r",
    "pubsub subscriptions create s --topic=t",
    "pubsub subscriptions update s",
    "pubsub subscriptions describe s",
    "pubsub topics list-subscriptions t",
    "eventarc triggers describe t --location=l",
)

_parser = gcloud_main.CreateCLI([])._CLI__parser
for _command in _COMMANDS:
    # An older gcloud may refuse a command; a test that runs it says so.
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        _parser.parse_args(_command.split())
