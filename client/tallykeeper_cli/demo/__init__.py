"""`tallykeeper demo`: three clients that sell, reserve and watch."""
