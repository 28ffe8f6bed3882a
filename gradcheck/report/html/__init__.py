"""The report as HTML: under a cell of a notebook, and as a page of its own."""
