"""Run folders and report folders: what is in them, how they are opened, checked and locked."""
