"""From what a run recorded to what it shows: tables, figures and a report; only its commands have anything run."""
