"""The input of a batch: files of requests or prompts, opened, checked, read line by line."""
