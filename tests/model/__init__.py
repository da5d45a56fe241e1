"""The contract as a model in plain Python, and a comparison of the server with it, step by step."""
