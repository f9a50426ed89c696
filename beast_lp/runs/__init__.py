"""What every long job shares: files, keys, seeds, settings and a directory of its own."""
