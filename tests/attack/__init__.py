"""Attacks on a server with login, through real sockets against the built file."""
