"""What a detector can learn, a room each: its data, its training and its judging."""
