"""The process: its event loop, its signals, its log and its output."""
