"""The options and verbs of the command line."""
