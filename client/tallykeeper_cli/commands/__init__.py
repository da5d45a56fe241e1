"""The commands of `tallykeeper` that talk to a server, one module for each noun.

`session` gives them a client and their common options, `tables`, `columns` and `words` say how their answers look,
`values` how their arguments are written, and `failures` how they end.
"""
