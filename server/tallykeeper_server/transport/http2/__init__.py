"""HTTP/2 connections and the calls on them. The modules beside this folder are the public part of the transport."""
