"""docs/reference and docs/man, made of the program's own tables: what they say can not differ from what it does."""
