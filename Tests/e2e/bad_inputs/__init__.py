"""The cases of `test_bad_inputs.py`, by what is bad."""
