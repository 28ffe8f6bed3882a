"""Stage 6, report: one `Report` object, and its renderers."""
