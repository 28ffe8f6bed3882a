"""From what was run to a report: the stages one after the other."""
