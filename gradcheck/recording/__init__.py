"""Stage 2, recording: the operations of one run, with the names, places and random draws they had."""
