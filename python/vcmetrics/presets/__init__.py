"""Rule sets of the scorers: parameters and quirks, no formulas."""
