"""Pages that need nothing else: a model's report and its parts, an explanation."""
