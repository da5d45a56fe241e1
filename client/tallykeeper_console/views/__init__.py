"""The content of each page, as rows, texts and drawings: everything of the console that needs no browser."""
