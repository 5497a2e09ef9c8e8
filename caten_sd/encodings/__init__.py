"""Zip and tar, read in place: members are windows of the archive and are never extracted."""
