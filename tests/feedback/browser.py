"""A real browser, driven over its own protocol (Chrome DevTools): what a person with a keyboard can do."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
]
PATIENCE = 60
_KEYS = {
    "Tab": ("Tab", 9, None),
    "Enter": ("Enter", 13, "\r"),
    "Space": (" ", 32, " "),
    "ArrowRight": ("ArrowRight", 39, None),
}


class Browser:
    """One page. Scripts of the page are switched off: whatever works here works without."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        """What the browser has to say against the page, such as what its policy forbade."""
        for domain in ("Page", "Runtime", "Log", "Accessibility", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setScriptExecutionDisabled", value=True)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Carry out a command of the protocol."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=PATIENCE))
        if message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["source"] != "network":  # a status of 4xx, which is what is tested
                self.complaints.append(entry["text"])
        return message

    def _loaded(self, method: str, **params: Any) -> None:
        """Carry out a command that leads to another page, and wait for that."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def speak(self, language: str) -> None:
        """Ask for pages in a language from now on."""
        agent = self.send("Browser.getVersion")["userAgent"]
        self.send("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def open(self, url: str) -> None:
        self._loaded("Page.navigate", url=url)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            for kind, params in self._strokes(key):
                self.send("Input.dispatchKeyEvent", type=kind, **params)

    def press_to_leave(self, key: str) -> None:
        """Press the key that sends the form."""
        (down, params), (up, _) = self._strokes(key)
        self._loaded("Input.dispatchKeyEvent", type=down, **params)
        self.send("Input.dispatchKeyEvent", type=up, **params)

    def _strokes(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        name, code, text = _KEYS[key]
        params: dict[str, Any] = {"key": name, "code": key, "windowsVirtualKeyCode": code}
        return [("keyDown", {**params, **({"text": text} if text else {})}), ("keyUp", params)]

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def ask(self, expression: str) -> Any:
        """What a script of the test's own finds on the page."""
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def named(self, role: str) -> list[str]:
        """The names by which a screen reader calls everything of a role."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        of_role = [node for node in nodes if not node["ignored"] and node["role"]["value"] == role]
        return [str(node["name"]["value"]).strip() for node in of_role]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of the machine's own, for the length of the block; skips where there is none, but never in CI."""
    program = shutil.which("chromium")
    if program is None and not os.environ.get("CI"):
        pytest.skip("chromium is not on this machine: the page is not looked at in a real browser")
    assert program is not None, "install chromium: apt-get install --no-install-recommends chromium"
    with tempfile.TemporaryDirectory(prefix="strata-browser-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(folder), process), max_size=None) as socket:
                yield Browser(socket)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser's page listens, as soon as it does."""
    said, until = folder / "DevToolsActivePort", time.monotonic() + PATIENCE
    while not (said.exists() and "\n" in said.read_text()):
        assert process.poll() is None, "the browser did not start"
        assert time.monotonic() < until, "the browser does not listen"
        time.sleep(0.05)
    port = said.read_text().splitlines()[0]
    targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    return next(str(each["webSocketDebuggerUrl"]) for each in targets if each["type"] == "page")
