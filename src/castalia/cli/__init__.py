"""The command line: it parses, calls the applications and writes what they return."""
