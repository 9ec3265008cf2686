"""The uploaded file, kept in the database in pieces: any worker can read it, and no kill loses it."""

import asyncio
import itertools
import zlib
from collections.abc import Awaitable, Callable, Iterator
from uuid import UUID

from sqlalchemy import delete, insert, select

from app.core.db import Database, WriteSession
from app.core.errors import TooLarge
from app.imports.formats import PIECE
from app.imports.models import import_chunk

Read = Callable[[int], Awaitable[bytes]]


async def store(session: WriteSession, import_id: UUID, first: bytes, read: Read, *, gzipped: bool, limit: int) -> int:
    """Store the file, whose first piece was read already; its size. Raises `TooLarge` beyond the limit."""
    size = position = 0
    piece = first
    while piece:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"A file of at most {limit} bytes is accepted; split it, or compress it with gzip")
        data = piece if gzipped else await asyncio.to_thread(zlib.compress, piece, 1)
        await session.execute(insert(import_chunk).values(import_id=import_id, position=position, data=data))
        position += 1
        piece = await read(PIECE)
    return size


def pieces(database: Database, import_id: UUID, *, gzipped: bool) -> Iterator[bytes]:
    """The file's bytes as uploaded, for a thread beside the running event loop: each piece is fetched when wanted."""
    loop = asyncio.get_running_loop()

    def fetched() -> Iterator[bytes]:
        for position in itertools.count():
            data = asyncio.run_coroutine_threadsafe(_piece(database, import_id, position), loop).result()
            if data is None:
                return
            yield data if gzipped else zlib.decompress(data)

    return fetched()


async def forget(session: WriteSession, import_id: UUID) -> None:
    """Delete the file."""
    await session.execute(delete(import_chunk).where(import_chunk.c.import_id == import_id))


async def _piece(database: Database, import_id: UUID, position: int) -> bytes | None:
    data: bytes | None = await database.reading().scalar(
        select(import_chunk.c.data).where(import_chunk.c.import_id == import_id, import_chunk.c.position == position)
    )
    return data
