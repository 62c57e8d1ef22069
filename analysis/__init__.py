"""From what a run recorded to what it shows: tables, figures and a report, read from a result folder alone."""
