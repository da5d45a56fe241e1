"""The calls of every service: their arguments, and the requests that the arguments become."""
