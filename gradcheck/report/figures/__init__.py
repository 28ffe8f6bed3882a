"""The figures of a report, as PNG bytes: drawn from its records alone, with no window and no global state."""
