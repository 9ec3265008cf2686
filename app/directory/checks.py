"""What must hold of files and transfers, which are made by jobs."""

from app.core.checks import carried
from app.directory.models import export, transfer

CHECKS = [carried(export, "export"), carried(transfer, "transfer")]
