"""Arrays and tables as text, pictures and self-contained pages; nothing here knows a result or a model."""
