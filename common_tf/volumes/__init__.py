"""Scans in three dimensions: voxels in physical units on a grid in the patient; NIfTI and DICOM, in and out."""
