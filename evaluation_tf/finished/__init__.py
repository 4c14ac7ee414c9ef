"""Finished pictures and volumes of any program, scored against real ones: the tables of a report without a run."""
