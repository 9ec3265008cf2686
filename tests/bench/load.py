"""The load generator: a process of its own that sends raw HTTP/1.1 over kept-alive connections.

It reads orders as JSON lines and answers each with what it counted. A connection sends its next request when
the answer before is complete; requests are bytes made ahead, in which only `{n}` is replaced by a fresh number
of twelve digits. Its own share of a core is told with the counts: near 1 it would be the bottleneck itself.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import uvloop

NUMBER = b"{n}"
DIGITS = 12


class Round:
    """One measurement: what is sent, how long, and what came back."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.requests: list[bytes] = [request.encode() for request in order["requests"]]
        self.numbered = NUMBER in self.requests[0]
        self.number = int(order["first_number"])
        self.begin = time.perf_counter() + order["warm_up"]
        self.end = self.begin + order["seconds"]
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.failure = ""

    def request(self, position: int) -> bytes:
        request = self.requests[position % len(self.requests)]
        if not self.numbered:
            return request
        self.number += 1
        return request.replace(NUMBER, b"%012d" % self.number)

    def answered(self, sent: float, status: int, body: bytes) -> bool:
        """Count an answer; whether to go on."""
        now = time.perf_counter()
        if status >= 300 and not self.failure:
            self.failure = f"{status} {body[:300].decode(errors='replace')}"
        if self.begin <= now < self.end:
            self.latencies.append(now - sent)
            self.statuses[status] += 1
        return now < self.end and not self.failure


class Connection(asyncio.Protocol):
    """One kept-alive connection with its own part of the requests."""

    def __init__(self, measured: Round, first: int, step: int) -> None:
        self.measured = measured
        self.position = first
        self.step = step
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        request = self.measured.request(self.position)
        self.position += self.step
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer = buffer = self.buffer + data if self.buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        start = buffer.find(b"content-length: ", 0, head_end) + 16
        length = int(buffer[start : buffer.index(b"\r\n", start)])
        if len(buffer) < head_end + 4 + length:
            return
        self.buffer = b""
        if self.measured.answered(self.sent, int(buffer[9:12]), buffer[head_end + 4 :]):
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Run one order to its end."""
    loop = asyncio.get_running_loop()
    measured = Round(order)
    count = order["connections"]
    cpu = time.process_time()
    wall = time.perf_counter()
    connections = []
    for first in range(count):
        _, connection = await loop.create_connection(
            lambda first=first: Connection(measured, first, count),  # type: ignore[misc]
            "127.0.0.1",
            order["port"],
        )
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    latencies = sorted(measured.latencies) or [0.0]
    return {
        "per_second": len(measured.latencies) / order["seconds"],
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
        "statuses": dict(measured.statuses),
        "failure": measured.failure,
        "number": measured.number,
        "share_of_core": (time.process_time() - cpu) / (time.perf_counter() - wall),
    }


def main() -> None:
    for line in sys.stdin:
        answer = uvloop.run(carry_out(json.loads(line)))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
