"""The commands of `tallykeeper` that talk to a server, one module for each noun.

`session` gives them a client and their common options. `output`, `columns` and `descriptions` define the form of their
output, `parameter_types` the form of their arguments, and `failures` their errors.
"""
