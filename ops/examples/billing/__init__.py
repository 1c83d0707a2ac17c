"""A billing system beside the twin: accounts, permits, invoices and their adjustments, checked against the twin every day."""
