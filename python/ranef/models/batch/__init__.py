"""Many fits of one formula: blocks of work and their estimates."""
