"""Webhooks may reach this machine here, by the name of localhost."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.webhooks.endpoint import Endpoint, endpoint


@pytest.fixture
def local(setting: Callable[..., None]) -> None:
    setting(webhook_http="true", webhook_private_hosts='["localhost"]', webhook_timeout="2")


@pytest.fixture
async def server(local: None) -> AsyncIterator[Endpoint]:
    async with endpoint() as made:
        yield made
