"""The types that all parts of the server share: mutations, levels, outcomes, errors and limits."""
