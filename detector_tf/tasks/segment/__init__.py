"""Where in a slice the lesion is."""
