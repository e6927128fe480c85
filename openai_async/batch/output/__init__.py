"""The output of a batch: a file or a directory of parts, locked, appended to in whole lines."""
