"""Studies: measurements over systems and captures. Each returns rows of results and knows
no command line."""
