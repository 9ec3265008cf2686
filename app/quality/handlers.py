"""The background work of data quality."""

from app.core.jobs import Schedule
from app.quality.reminders import JOB, remind

JOBS = {JOB: remind}
SCHEDULES = [Schedule(JOB, "0 6 * * 1")]
