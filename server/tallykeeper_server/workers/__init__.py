"""The processes of one server: a supervisor, its workers, and the channel between them."""
