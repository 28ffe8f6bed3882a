"""The one reader of a person's source: trees, the names that statements read and bind, and what expressions give."""
