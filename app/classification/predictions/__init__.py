"""Predictions: BG/NBD and Gamma-Gamma fitted to everybody's purchases, and what they expect of each customer.

`requests` asks for a fit, `run` is its job, `queries` shows it. The models themselves (`estimates` and below) need
numpy and scipy, the extra `predict`: they are imported by the job alone, when it runs.
"""

import os

# Read when numpy is loaded. The matrices here are four by four: threads for them only wait for each other, which makes
# a fit ten times slower on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
