"""Example programs with hand-written backward passes: two right ones and two with known faults."""
