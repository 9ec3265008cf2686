"""What governance does by itself."""

from app.core.jobs import Schedule
from app.governance import retention, sealing

JOBS = {"audit.seal": sealing.seal, "retention.apply": retention.apply}
SCHEDULES = [Schedule("audit.seal", "* * * * *"), Schedule("retention.apply", "25 3 * * *")]
