"""The client under every fault: a table of them, their timing, and chaos."""
