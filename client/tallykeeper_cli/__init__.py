"""The program ``tallykeeper``."""
