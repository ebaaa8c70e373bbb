"""Files from strangers: read with care, and worked on in a process with limits."""
