"""Keep the address of a user encrypted."""

revision = "0002"
down_revision = "0001"
