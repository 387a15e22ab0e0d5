"""Looking at runs: a local page that follows the runs folder, and what is uploaded to W&B later."""
