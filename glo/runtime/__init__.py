"""What any command-line program needs, and nothing of GLO: errors, files, paths, log, memory, signals, devices."""
