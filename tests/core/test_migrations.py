"""The schema's revision is known without alembic; its migrations can be broken off, repeated, taken back."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from app.core import migrations
from tests.service import sync_database


def test_the_head_is_the_one_that_alembic_migrates_to() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    assert migrations.head() == ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.slow
def test_a_start_that_migrates_nothing_does_not_import_alembic() -> None:
    start = "import sys; from app import cli; cli.migrations.head(); sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", start], check=False, timeout=60).returncode == 0


@pytest.fixture
def database() -> Iterator[str]:
    with sync_database() as url:
        yield url


def fetch(url: str, statement: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.mark.slow
def test_all_of_them_go_back_and_forth(database: str) -> None:
    migrations.downgrade(database, "base")
    assert fetch(database, "SELECT to_regclass('customer')") is None
    migrations.upgrade(database)
    migrations.check(database)


@pytest.mark.slow
def test_of_several_that_migrate_at_once_the_others_wait(database: str) -> None:
    migrations.downgrade(database, "0030")
    upgrade = [sys.executable, "-c", "import sys; from app.core import migrations; migrations.upgrade(sys.argv[1])"]
    several = [subprocess.Popen([*upgrade, database]) for _ in range(3)]
    assert [each.wait(60) for each in several] == [0, 0, 0]
    assert fetch(database, "SELECT version_num FROM alembic_version") == migrations.head()


def test_an_index_is_made_while_a_transaction_takes_longer_than_a_lock_may_be_waited_for(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    migrations.downgrade(database, "0042")

    async def meanwhile() -> None:
        connection = await asyncpg.connect(database)
        async with connection.transaction():
            await connection.execute("DELETE FROM purchase")
            upgrading = asyncio.create_task(asyncio.to_thread(migrations.upgrade, database, "0043"))
            await asyncio.sleep(1)
            assert not upgrading.done()
        await upgrading
        await connection.close()

    asyncio.run(meanwhile())
    assert fetch(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_purchase_latest'::regclass")


def test_what_a_migration_that_was_broken_off_left_is_made_again(database: str) -> None:
    migrations.downgrade(database, "0042")
    fetch(database, "CREATE INDEX ix_purchase_latest ON purchase (occurred_at)")
    fetch(database, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_purchase_latest'::regclass")
    migrations.upgrade(database)
    migrations.check(database)
    assert fetch(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_purchase_latest'::regclass")


def test_one_that_fails_lets_the_next_one_begin(database: str) -> None:
    with pytest.raises(CommandError, match="no such revision"):
        migrations.upgrade(database, "no such revision")
    assert fetch(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
