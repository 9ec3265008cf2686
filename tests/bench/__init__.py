"""Speed, as ratios to floors measured in the same run: `python -m tests.bench --help`.

The floors are in `floors.py`, the generated data in `data.py`; nothing here is imported by the application.
"""
