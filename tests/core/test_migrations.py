"""The schema's revision is known without alembic, and is the one that alembic would say."""

import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.core import migrations


def test_the_head_is_the_one_that_alembic_migrates_to() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    assert migrations.head() == ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.slow
def test_a_start_that_migrates_nothing_does_not_import_alembic() -> None:
    start = "import sys; from app import cli; cli.migrations.head(); sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", start], check=False, timeout=60).returncode == 0
