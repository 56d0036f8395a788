"""Libraries of others, below this package."""
