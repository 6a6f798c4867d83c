"""The parts of the interpreter's processes: zygote.py says which is which."""
