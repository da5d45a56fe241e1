"""The contract as a model in plain Python, and the server held against it, step by step."""
