"""The matcher: what a piece of a program computes, found from its operations and from numbers, never from names.

`rows` holds the mechanism; the other files are what is recognised with it: functions of one element (`chains` finds the
piece, `functions` says which function it is), products, normalisations and cross-entropies. Where operations do not
decide, numbers do: the piece is run on some, and what comes out is compared.
"""
