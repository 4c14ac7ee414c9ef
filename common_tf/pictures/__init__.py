"""One-channel head slices: reading, framing, gray values, heads, drawn slices, pictures for people."""
