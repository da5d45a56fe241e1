"""The wheel, as its users get it."""
