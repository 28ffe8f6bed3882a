"""The version of gradcheck; pyproject.toml reads it here."""

__version__ = "0.1.0"
