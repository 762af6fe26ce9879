"""Arrays and numbers as pictures, for reports and for files."""
