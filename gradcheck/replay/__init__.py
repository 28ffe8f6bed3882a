"""Stage 3, replay: runs a recording again under other conditions; pairing, errors and verdicts."""
