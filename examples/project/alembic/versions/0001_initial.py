"""Users and matches."""

revision = "0001"
down_revision = None
