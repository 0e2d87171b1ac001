"""What the commands share: options, help, progress, and tables on stdout."""
