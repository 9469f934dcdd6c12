"""Any task over many ranges of events: units of work, a pool of processes, one complete output file."""
