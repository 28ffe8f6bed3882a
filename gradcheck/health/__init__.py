"""Stage 4, health: what the recorded step says of a network beyond whether its gradients are right.

Each family is a folder: `records.py` holds what it found as plain data, `measure.py` finds it by replay. The checks
judge the records; nothing here calls anything good or bad.
"""
