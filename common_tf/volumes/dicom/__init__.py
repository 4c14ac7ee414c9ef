"""DICOM series: found in folders, put in order by where their slices lie, and written as derived ones."""
