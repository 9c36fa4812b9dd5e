"""Reading and writing of the files that pass between stages."""
