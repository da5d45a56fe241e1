"""The words that all rooms of the server share: mutations, levels, outcomes, errors and limits."""
