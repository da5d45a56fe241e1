"""The runners of the conformance cases, one folder for each language."""
