"""The output of a batch: a file or a directory of parts, locked, made longer by whole lines."""
