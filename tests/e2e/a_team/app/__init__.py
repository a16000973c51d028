"""The team's application, called as most are."""
