"""The page: scans dropped into a browser go through the functions of the scripts, on this machine only."""
