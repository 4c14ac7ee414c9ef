"""Who is allowed where: file fingerprints, near-duplicate groups, splits, the manifest and the audit."""
