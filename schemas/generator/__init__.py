"""What schemas/generate.py writes, one module per source file, one function per output."""
