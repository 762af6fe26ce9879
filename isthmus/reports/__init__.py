"""Arrays and tables as text, pictures and self-contained pages; nothing here depends on results or models."""
