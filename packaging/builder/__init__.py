"""What build.py does. commands is its command line; pack the form of the file, assemble what goes into it."""
