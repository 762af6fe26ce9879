"""Measure trained models: tables, comparisons, audits of data, the report."""
