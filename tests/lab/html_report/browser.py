"""A real browser for tests: Chromium without a window, driven by its DevTools protocol over two pipes.

A pipe needs no port and no client of WebSockets, and it ends with its owner.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["NAMES", "Browser", "Page", "chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_TIMEOUT_S = 30.0
_FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--password-store=basic",
    # Whatever the page or the browser asks for, no name leads to an address. A test may serve pages on loopback.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
_KEYS = {"Enter": 13, "Escape": 27, "Tab": 9, "Home": 36, "End": 35, " ": 32}
_KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


def chromium() -> str | None:
    """Return the path of Chromium; `None` where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """Chromium in a process of its own.

    Args:
        program: Its path.
        profile: An empty directory for its files.
    """

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # Chromium reads from 3 and writes to 4. Copies with high numbers are in the way of neither.
        ours = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (to_browser, from_browser)]
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # root cannot have one
        with (profile / "log").open("w") as log:
            self._process = os.posix_spawn(
                program,
                [program, *_FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank"],
                os.environ | {"HOME": str(profile), "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                    (os.POSIX_SPAWN_DUP2, ours[0], 3),
                    (os.POSIX_SPAWN_DUP2, ours[1], 4),
                ],
                setsid=True,
            )
        for end in (*ours, to_browser, from_browser):
            os.close(end)
        self._numbers = count(1)
        self._unread = b""
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser and everything that it started."""
        with contextlib.suppress(OSError, TimeoutError, EOFError):
            self.ask("Browser.close")
        for end in (self._out, self._in):
            os.close(end)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """Send one command and return its result; events that come before it are kept."""
        number = self.send(method, session, **parameters)
        for found in self._messages():
            if found.get("id") == number:
                assert "error" not in found, f"{method}: {found['error']}"
                result: dict[str, Any] = found["result"]
                return result
            self.events.append(found)
        raise EOFError

    def send(self, method: str, session: str = "", **parameters: object) -> int:
        """Send one command, and return the number that its result will have."""
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return number

    def wait(self, method: str, session: str) -> None:
        """Wait for the next event of this name."""
        for found in self._messages():
            self.events.append(found)
            if found.get("method") == method and found.get("sessionId") == session:
                return

    def open(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """Open a page in a tab of its own, and wait until it is loaded."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.ask(f"{domain}.enable")
        page.resize(width, height)
        page.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        page.go(address)
        return page

    def _messages(self) -> Iterator[dict[str, Any]]:
        until = time.monotonic() + _TIMEOUT_S
        while True:
            text, end, rest = self._unread.partition(b"\0")
            if end:
                self._unread = rest
                yield json.loads(text)
                continue
            if not select.select([self._in], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium says nothing for {_TIMEOUT_S:g} s")
            read = os.read(self._in, 1 << 20)
            if not read:
                raise EOFError("Chromium ended")
            self._unread += read


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one command of the tab."""
        return self._browser.ask(method, self._session, **parameters)

    def go(self, address: str) -> None:
        """Load a page, and wait until that is done."""
        self._browser.send("Page.navigate", self._session, url=address)
        self._browser.wait("Page.loadEventFired", self._session)

    def value(self, expression: str) -> Any:  # noqa: ANN401 - what the script returns
        """Return the value of an expression of JavaScript."""
        done = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """Press a key and let it go."""
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        code = _KEYS.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent",
                type=kind if text or kind == "keyUp" else "rawKeyDown",
                key=key,
                code={" ": "Space"}.get(key, key),
                windowsVirtualKeyCode=code,
                modifiers=2 if ctrl else 0,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        script = f"""(() => {{
          const found = document.querySelector({json.dumps(selector)});
          found.scrollIntoView({{block: "center", inline: "center"}});
          const place = found.getBoundingClientRect();
          return [place.x + place.width / 2, place.y + place.height / 2];
        }})()"""
        x, y = self.value(script)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def write(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.ask("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        """Give the page a size, in pixels."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self) -> bytes:
        """Return what is seen, as PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot")["data"])

    @property
    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        return [str(found["params"]["request"]["url"]) for found in self._events("Network.requestWillBeSent")]

    @property
    def failures(self) -> list[str]:
        """Requests without an answer, and answers that report an error."""
        lost = [str(found["params"]["errorText"]) for found in self._events("Network.loadingFailed")]
        answers = [found["params"]["response"] for found in self._events("Network.responseReceived")]
        return lost + [f"{found['url']}: {found['status']}" for found in answers if found["status"] >= 400]

    @property
    def complaints(self) -> list[str]:
        """What the browser wrote on its console: errors of the script and refusals of the policy among them."""
        errors = [
            str(found["params"]["exceptionDetails"]) for found in self._events("Runtime.exceptionThrown")
        ]
        logged = [str(found["params"]["entry"]["text"]) for found in self._events("Log.entryAdded")]
        return [
            *errors,
            *logged,
            *(str(found["params"]) for found in self._events("Runtime.consoleAPICalled")),
        ]

    def _events(self, method: str) -> list[dict[str, Any]]:
        return [
            found
            for found in self._browser.events
            if found.get("method") == method and found.get("sessionId") == self._session
        ]
