"""The files by which parent and child communicate, in their folder."""

OPTIONS = "options.json"
RESULT = "result.json"  # {"report": ...}, {"error": ...} or {"internal": ...}
PART = "part.json"  # {"report": ...}, as far as it has been made
PROGRESS = "progress.txt"
STDOUT = "stdout.txt"
STDERR = "stderr.txt"
NO_ROOM = 77  # the exit status of a child that could not write its result
WARM = "warm"  # a child that imports torch before it is asked
