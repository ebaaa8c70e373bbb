"""What comes from strangers: files are read with care, and worked on in a process with limits."""
