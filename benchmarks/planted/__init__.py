"""Planted bugs: right programs, one backward line changed in one of the ways people get it wrong."""
