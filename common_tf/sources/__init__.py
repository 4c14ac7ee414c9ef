"""Where slices come from: folders, pairs, class folders, segmentation, drawn heads. One form, `Source`, for all."""
