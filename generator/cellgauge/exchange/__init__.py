"""Other people's formats: a release as tables that other programs read, and what others measured as a release."""
