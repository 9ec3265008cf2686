"""The job that sends e-mail."""

from app.mail.post import AT_A_TIME, JOB, given_up, send

JOBS = {JOB: send}
DEAD_LETTERS = {JOB: given_up}
LANES = {JOB: AT_A_TIME}
