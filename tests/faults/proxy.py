"""Stands between the API and PostgreSQL, and cuts a connection at its COMMIT: before the server has it, or after."""

import asyncio
import contextlib
import struct
from pathlib import Path
from typing import Literal

Cut = Literal["before", "after"]
_COMMIT = b"COMMIT\0"


class Proxy:
    """A socket like the server's own, in another folder."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._server = server
        self._listening: asyncio.Server | None = None
        self._cut: Cut | None = None
        self._left = 0
        self._spare = 0
        self._cuts = asyncio.Event()

    async def start(self) -> None:
        self._listening = await asyncio.start_unix_server(self._connected, self.folder / ".s.PGSQL.5432")

    async def stop(self) -> None:
        assert self._listening is not None
        self._listening.close()

    async def cut(self, where: Cut, times: int, *, spare: int = 0) -> None:
        """Cut the next connections that commit, but for the first few, and wait until they are cut."""
        self._cut, self._left, self._spare = where, times, spare
        self._cuts.clear()
        await asyncio.wait_for(self._cuts.wait(), 60)

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                server, to_server = await asyncio.open_unix_connection(str(self._server))
            except OSError:
                to_client.close()
                return
            answering = asyncio.create_task(_relay(server, to_client))
            try:
                await self._asked(client, to_server, answering)
            finally:
                answering.cancel()
                to_server.close()
                to_client.close()

    async def _asked(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, answering: "asyncio.Task[None]"
    ) -> None:
        """Hand on message by message; the first one has no type."""
        kind = b""
        while True:
            size = await client.readexactly(4)
            body = await client.readexactly(struct.unpack("!I", size)[0] - 4)
            where = self._due() if kind == b"Q" and body == _COMMIT else None
            if where == "before":
                return
            if where == "after":
                answering.cancel()
            to_server.write(kind + size + body)
            await to_server.drain()
            if where == "after":
                await asyncio.sleep(0.5)  # the server commits, and nobody is told
                return
            kind = await client.readexactly(1)

    def _due(self) -> Cut | None:
        where = self._cut
        if where is not None and self._spare:
            self._spare -= 1
            return None
        if where is not None:
            self._left -= 1
            if self._left == 0:
                self._cut = None
                self._cuts.set()
        return where


async def _relay(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await source.read(1 << 16):
            to.write(block)
            await to.drain()
    to.close()
