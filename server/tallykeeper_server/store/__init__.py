"""The store: script calls and reads. The only code that talks to Redis, and it knows no message."""
