"""The wire: reads messages, checks them, asks the engine and answers. Knows no Redis."""
