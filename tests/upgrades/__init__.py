"""`make upgrade-check`: an older version and this one take turns on the same data, under load.

`versions` runs servers of both versions, `load` changes counts and remembers what was acknowledged, `judge` compares
that with the ledger, and `scenarios` plays the upgrades.
"""
