"""Train the embedded models, and pairs with a planted truth."""
