"""What the runs say: intervals, verdicts, tables, figures and the one page. Reads the store; trains nothing and needs no torch."""
