"""What a trained model is worth: tables, comparisons, audits of data, the report."""
