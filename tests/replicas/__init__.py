"""Programs that tests start as several processes of one training."""
