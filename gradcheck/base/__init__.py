"""What every stage may use: errors, options, thresholds, progress, how numbers are written. Imports no torch."""
