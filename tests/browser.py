"""A real browser without a window: Debian's Chromium, spoken to over a pipe in its own protocol, with nothing in between."""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from needs import find_tool, skip

__all__ = ["Browser", "Page", "browser"]

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0


class Browser:
    """A browser that answers commands of the DevTools protocol.

    Args:
        program: its path.
        profile: a folder for what it stores.
    """

    def __init__(self, program: str, profile: Path) -> None:
        theirs, self._out = os.pipe()
        self._in, their_out = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options.append("--remote-debugging-pipe")
        # What it reads and writes is at descriptors 3 and 4.
        line = f'exec 3<&{theirs} 4>&{their_out}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", line, "bash", program, *options, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(theirs, their_out),
        )  # fmt: skip
        os.close(theirs)
        os.close(their_out)
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []

    def command(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Does one thing and returns what the browser answers; what it tells meanwhile is in `events`."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found
            self.events.append(answer)

    def page(self) -> "Page":
        """A new empty tab."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def close(self) -> None:
        """Ends the browser."""
        os.close(self._out)  # at the end of its commands it leaves
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._in, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(text)
        return answer


class Page:
    """A tab.

    Args:
        browser: whose.
        session: its name there.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One thing in this tab."""
        return self._browser.command(method, self._session, **parameters)

    def show(self, path: Path, *, width: int, height: int = 900, dark: bool = False, phone: bool = False) -> None:
        """Opens a file, as wide as said."""
        self._browser.events.clear()
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.command("Page.navigate", url=path.absolute().as_uri())
        wait = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"
        self.run(wait)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Presses a key, such as Tab."""
        codes = {"Tab": 9, "Enter": 13, "ArrowRight": 39}
        for kind in ("rawKeyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key])

    def told(self, *methods: str) -> list[dict[str, Any]]:
        """What has happened of some kinds since the page was shown."""
        return [event["params"] for event in self._browser.events if event.get("method") in methods]

    def picture(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.command("Page.captureScreenshot", captureBeyondViewport=True)["data"])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser; where there is none the test is skipped, but never in CI."""
    program = next(filter(None, map(find_tool, PROGRAMS)), None)
    if program is None:
        skip("missing: Chromium (scripts/test.sh installs Debian's chromium-headless-shell as root)")
    assert program is not None
    opened = Browser(program, profile)
    try:
        yield opened
    finally:
        opened.close()
