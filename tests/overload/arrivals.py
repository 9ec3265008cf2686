"""Requests that arrive at a rate of their own, whether the ones before are answered or not.

A process of its own, so that the measured server and this share no interpreter. It reads orders as JSON lines and
answers each with what it counted. Every request is bytes made ahead.
"""

import asyncio
import json
import sys
import time
from collections import Counter, deque
from typing import Any

import uvloop

AT_MOST = 600
"""Connections. An arrival that finds all of them waiting is counted as an answer that did not come."""
PATIENCE = 10


class Tally:
    """What came back: how often each status, and after how many seconds the good ones."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.without_retry_after = 0

    def count(self, status: int, head: bytes, seconds: float) -> None:
        self.statuses[str(status)] += 1
        if status < 300:
            self.seconds.append(seconds)
        elif status in (429, 503) and b"retry-after" not in head.lower():
            self.without_retry_after += 1


class Client(asyncio.Protocol):
    """A kept-alive connection; `free` takes it back when its answer is complete."""

    def __init__(self, tally: Tally, free: "deque[Client]") -> None:
        self.tally = tally
        self.free = free
        self.buffer = b""
        self.waits = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, request: bytes) -> None:
        self.waits = True
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        start = head.index(b"content-length: ") + 16
        length = int(head[start:].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        self.tally.count(int(self.buffer[9:12]), head, time.perf_counter() - self.sent)
        self.buffer = b""
        self.waits = False
        self.free.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self.waits:
            self.tally.statuses["lost"] += 1
        elif self in self.free:
            self.free.remove(self)


async def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Send at `rate` a second for so many `seconds`; then wait for what is still to come."""
    loop, tally = asyncio.get_running_loop(), Tally()
    requests = [request.encode() for request in order["requests"]]
    free: deque[Client] = deque()
    opened: list[Client] = []
    began = time.perf_counter()
    sent = 0
    while (passed := time.perf_counter() - began) < order["seconds"]:
        for _ in range(int(passed * order["rate"]) - sent):
            if not free and len(opened) < AT_MOST:
                _, client = await loop.create_connection(lambda: Client(tally, free), "127.0.0.1", order["port"])
                opened.append(client)
                free.append(client)
            if free:
                free.popleft().send(requests[sent % len(requests)])
            else:
                tally.statuses["unanswered"] += 1
            sent += 1
        await asyncio.sleep(0.002)
    for _ in range(PATIENCE * 50):
        if any(client.waits for client in opened):
            await asyncio.sleep(0.02)
    tally.statuses["unanswered"] += sum(client.waits for client in opened)
    seconds = sorted(tally.seconds) or [0.0]
    return {
        "sent": sent,
        "good": len(tally.seconds),
        "statuses": dict(tally.statuses),
        "without_retry_after": tally.without_retry_after,
        "p99": seconds[len(seconds) * 99 // 100],
    }


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(uvloop.run(carry_out(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
