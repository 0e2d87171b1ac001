"""The decoders of program files. Each runs by itself, as a script, without Veneer."""
