"""The parts that the commands share: their options, their client, their output and their exit codes."""
