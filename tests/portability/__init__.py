"""The same file on many machines and Pythons: `python3 build.py portability`."""
