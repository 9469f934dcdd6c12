"""Results as pages: tables, one self-contained HTML report, and the comparison of several."""
