"""The work of processes of which the first to begin has no room for its proxies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from meshlab.mutate.process_messages import GivenBack, Idle, Ready
from meshlab.mutate.process_work import work

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from meshlab.mutate.process_messages import Job, Message, Next

FIRST = "MESHLAB_TEST_FIRST"
"""Variable with a file that the first process makes."""


def work_but_for_the_first(connection: Connection[Message, Next], job: Job) -> None:
    """Take a mutant and give it back in the first process; ask mutants in the others."""
    try:
        Path(os.environ[FIRST]).touch(exist_ok=False)
    except FileExistsError:
        work(connection, job)
        return
    give_back(connection, job)


def give_back(connection: Connection[Message, Next], _job: Job) -> None:
    """Take a mutant and give it back."""
    connection.send(Ready(0))
    connection.send(Idle())
    number = connection.recv().number
    assert number is not None
    connection.send(GivenBack((number,), "no inotify instance is left"))
