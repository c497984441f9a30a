"""The memory of web and workers under large files, bombs and many small files (`make memory`)."""
