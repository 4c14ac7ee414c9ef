"""Reading, framing and drawing of one-channel head slices, and the input pipeline."""
