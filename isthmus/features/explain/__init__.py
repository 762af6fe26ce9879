"""What each unit of a code depends on, what it changes in the image, and how reliable these maps are."""
