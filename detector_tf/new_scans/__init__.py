"""What a finished run says of scans that it never saw: masks of lesions, or verdicts."""
