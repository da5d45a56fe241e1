"""The documents are true: their commands run, their links lead somewhere, and their words are those of the contract."""
