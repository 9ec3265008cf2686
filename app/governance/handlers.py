"""What governance does by itself."""

from app.core.jobs import Schedule
from app.governance import sealing

JOBS = {"audit.seal": sealing.seal}
SCHEDULES = [Schedule("audit.seal", "* * * * *")]
