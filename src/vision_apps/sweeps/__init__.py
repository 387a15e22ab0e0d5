"""Many runs of one search: what is tried next, in fresh processes, so that a killed sweep goes on."""
